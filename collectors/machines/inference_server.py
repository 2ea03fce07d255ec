"""An inference server that is looked at over HTTP.

Two kinds: the daemon trainer's (``/health``, ``/gpu``, ``/system``, ``/jobs``, ...), and any
server with OpenAI's API, which tells its load as Prometheus metrics (``/metrics``).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpcore

from collectors.jobs import JobQueue
from collectors.machines.bounded_http import BoundedHttp, Packed, TooLong
from collectors.machines.host import HostReading
from collectors.machines.native_server import count, dicts, read_gpus, read_host, text, took_ms
from collectors.machines.prometheus_text import ServerMetrics, parse_metrics
from collectors.machines.server_reading import ServerApi, ServerReading, ServerState
from control_room.error_words import words_for
from control_room.recording.encoding import load_json
from control_room.security.address import Address
from control_room.security.redaction import without
from control_room.security.secret import BadSecret, Secret

log = logging.getLogger(__name__)

_MAX_BYTES = 4 * 2**20
_MOST_VALUES = 300_000  # in JSON: each takes many times its size
# That server sleeps for a second in its event loop to answer it, and answers nobody else meanwhile.
_SYSTEM_EVERY_S = 60.0
_MAX_JOBS = 1000  # asked for at once
_MOST_KINDS = 20  # of jobs that are told apart; the rest is one
_USUAL_KINDS = ("preview", "eval", "data_gen")
_KINDS = {"inference": "preview"}  # what the daemon trainer's server calls otherwise


class ServerError(Exception):
    """The server, or one of its parts, cannot be asked. The text says why, and what to do."""

    def __init__(self, state: ServerState, message: str) -> None:
        super().__init__(message)
        self.state: ServerState = state


@dataclass(frozen=True, slots=True, kw_only=True)
class _System:
    """What ``/system`` told last, and when it was asked."""

    host: HostReading | None = None
    at: float | None = None  # epoch seconds
    problem: str | None = None
    asked_at: float | None = None  # by the watch's clock
    key: Secret | None = None


class ServerWatch:
    """Looks at one server again and again, from one thread, over a kept connection.

    ``address`` is its root, without ``/v1``. ``key`` is asked at every look, as keys are changed;
    it may raise :class:`BadSecret`.
    """

    def __init__(
        self,
        address: Address,
        *,
        name: str,
        api: ServerApi = "auto",
        key: Callable[[], Secret | None] = lambda: None,
        timeout_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._name = name
        self._told_api = api
        self._key = key
        self._timeout_s = timeout_s
        self._clock = clock
        self._http = BoundedHttp(timeout_s, _MAX_BYTES)
        self._before: tuple[float, float] | None = None  # when, and how many tokens by then
        self._answered_at: float | None = None
        self._system = _System()

    def close(self) -> None:
        """Hang up. A later read connects again."""
        self._http.close()

    def read(self) -> ServerReading:
        """Look once. Never raises for what the network or the server does: the reading says."""
        try:
            reading = self._look()
        except (ServerError, BadSecret) as error:
            self._before = None
            state = error.state if isinstance(error, ServerError) else "auth_failed"
            return ServerReading(state=state, message=str(error), answered_at=self._answered_at)
        self._answered_at = time.time()
        return replace(reading, answered_at=self._answered_at)

    def _look(self) -> ServerReading:
        if self._told_api == "openai":
            return self._openai()
        try:
            health = self._object("/health")
        except ServerError as error:
            # vLLM and TGI answer an empty body, others do not know the address.
            if self._told_api == "native" or error.state in ("unreachable", "timeout"):
                raise
            return self._openai()
        if self._told_api == "auto" and not health.keys() & {"worker_busy", "active_model", "gpu"}:
            return self._openai()
        return self._native(health)

    def _native(self, health: Mapping[str, Any]) -> ServerReading:
        problems: list[str] = []

        def part(path: str, read: Callable[[Mapping[str, Any]], Any]) -> Any:
            try:
                return read(self._object(path))
            except ServerError as error:
                if error.state == "timeout":
                    raise  # the next part would wait as long
                problems.append(str(error))
                return None

        reading = ServerReading(
            state="ok",
            api="native",
            active_model=text(health.get("active_model")),
            gpus=part("/gpu", read_gpus),
            power_profile=part("/settings/power_profile", lambda told: text(told.get("current"))),
            jobs=part("/jobs/stats", self._jobs) or (),
        )
        self._look_at_system()
        if self._system.problem is not None:
            problems.append(self._system.problem)
        return replace(
            reading, host=self._system.host, host_at=self._system.at, problems=tuple(problems)
        )

    def _look_at_system(self) -> None:
        """Ask ``/system`` if it is time to, or another key is set; else what it told stands."""
        before, now, key = self._system, self._clock(), self._key()
        age_s = None if before.asked_at is None else now - before.asked_at
        if age_s is not None and age_s < _SYSTEM_EVERY_S and key == before.key:
            return
        self._system = replace(before, asked_at=now, key=key, problem=None)
        try:
            host = read_host(self._object("/system"), self._name)
        except ServerError as error:
            self._system = replace(self._system, problem=str(error))
            if error.state == "timeout":
                raise
        else:
            self._system = replace(self._system, host=host, at=time.time())

    def _jobs(self, stats: Mapping[str, Any]) -> tuple[JobQueue, ...]:
        """By kind, where the server lists its jobs; else as one queue."""
        counts: dict[str, dict[str, int]] = {kind: {} for kind in _USUAL_KINDS}
        latest: dict[str, float] = {}
        try:
            for status, limit in (
                ("pending", _MAX_JOBS),
                ("running", _MAX_JOBS),
                ("failed", _MAX_JOBS),
                ("done", 20),
            ):
                for job in dicts(self._object(f"/jobs?status={status}&limit={limit}"), "jobs"):
                    kind = _kind(job, counts)
                    of_kind = counts.setdefault(kind, {})
                    of_kind[status] = of_kind.get(status, 0) + 1
                    if status == "done" and (took := took_ms(job)) is not None:
                        latest.setdefault(kind, took)
        except ServerError as error:
            if error.state == "timeout":
                raise
            counts = {
                "all": {
                    name: value
                    for name in ("pending", "running", "failed")
                    if (value := count(stats.get(name))) is not None
                }
            }
        return tuple(
            JobQueue(
                kind=kind,
                pending=of_kind.get("pending", 0),
                running=of_kind.get("running", 0),
                failed=of_kind.get("failed", 0),
                last_latency_ms=latest.get(kind),
            )
            for kind, of_kind in sorted(counts.items())
        )

    def _openai(self) -> ServerReading:
        models = [text(each.get("id")) for each in dicts(self._object("/v1/models"), "data")]
        problems: tuple[str, ...] = ()
        metrics = ServerMetrics()
        try:
            metrics = parse_metrics(self._get("/metrics").decode("utf-8", "replace"))
        except ServerError as error:
            if error.state == "timeout":
                raise
            problems = (f"{error} (llama.cpp tells its metrics when started with --metrics)",)
        except ValueError as error:
            log.debug("%s/metrics: %s", self._address, error)
            problems = (f"{self._address}/metrics is not in Prometheus's format",)
        return ServerReading(
            state="ok",
            api="openai",
            server=metrics.server,
            active_model=next(filter(None, models), None),
            requests_running=metrics.requests_running,
            requests_waiting=metrics.requests_waiting,
            tokens_per_sec=self._rate(metrics.tokens_total),
            kv_cache_pct=metrics.kv_cache_pct,
            problems=problems,
        )

    def _rate(self, total: float | None) -> float | None:
        now, before = self._clock(), self._before
        self._before = None if total is None else (now, total)
        if before is None or total is None or now <= before[0] or total < before[1]:
            return None  # the first look, or the server was started anew
        return (total - before[1]) / (now - before[0])

    def _object(self, path: str) -> Mapping[str, Any]:
        body = self._get(path)
        try:
            told = load_json(body, most_values=_MOST_VALUES)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise ServerError("unsupported", f"{self._address}{path} does not answer a JSON object")
        return told

    def _get(self, path: str) -> bytes:
        """The body, without the key. Raises ServerError for all other answers, late and huge ones.

        What a library says of an error may quote what was sent, so it is not passed on.
        """
        key, shown = self._key(), f"{self._address}{path}"
        try:
            status, body = self._http.get(self._address.at(path), self._address.headers(key))
        except httpcore.TimeoutException:
            raise ServerError(
                "timeout", f"{shown} does not answer within {self._timeout_s:g} s"
            ) from None
        except TooLong:
            raise ServerError("unsupported", f"{shown} answers without end") from None
        except Packed:
            raise ServerError("unsupported", f"{shown} answers packed, unasked") from None
        except (*_HTTP_ERRORS, OSError, UnicodeError) as error:
            log.debug("%s: %s", shown, error)
            told = words_for(error)
            raise ServerError("unreachable", f"{self._address} cannot be reached: {told}") from None
        if status in (401, 403):
            raise ServerError("auth_failed", f"{shown} {_KEY_TROUBLE[not self._sends(key)]}")
        if status != 200:
            raise ServerError("error", f"{shown} answers {status}")
        return without(self._address.secrets(key), body)

    def _sends(self, key: Secret | None) -> bool:
        return key is not None or self._address.login is not None


def _kind(job: Mapping[str, Any], known: Mapping[str, object]) -> str:
    told = text(job.get("type")) or "None"
    kind = _KINDS.get(told, told)
    return kind if kind in known or len(known) < _MOST_KINDS else "other"


_HTTP_ERRORS = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol)

_KEY_TROUBLE = {
    True: "wants a key: set http.api_key_file or http.api_key_env of this machine",
    False: "does not take the key that is set: it may need one with more rights",
}
