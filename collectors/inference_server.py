"""An inference server that is looked at over HTTP.

Two kinds: the specification's own (``/health``, ``/gpu``, ``/system``, ``/jobs``, ...), and any
server with OpenAI's API, which tells its load as Prometheus metrics (``/metrics``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from collectors.gpu_reading import GpuReading, GpusReading
from collectors.host import HostReading
from collectors.jobs import JobQueue
from collectors.prometheus_text import ServerMetrics, parse_metrics
from collectors.server_reading import ServerApi, ServerReading, ServerState

_MAX_BYTES = 16 * 2**20
_MB_PER_GB = 1024
_GIB_PER_GB = 1e9 / 2**30  # the specification's server counts 10**9 bytes as one
_MAX_JOBS = 1000  # asked for at once
_USUAL_KINDS = ("preview", "eval", "data_gen")
_KINDS = {"inference": "preview"}  # what the specification's server calls otherwise


class ServerError(Exception):
    """The server, or one of its parts, cannot be asked. The text says why, and what to do."""

    def __init__(self, state: ServerState, message: str) -> None:
        super().__init__(message)
        self.state: ServerState = state


class ServerWatch:
    """Looks at one server again and again, from one thread, over a kept connection.

    ``url`` is its root, without ``/v1``. ``key`` is asked at every look, as keys are changed.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str,
        api: ServerApi = "auto",
        key: Callable[[], str | None] = lambda: None,
        timeout_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url.rstrip("/")
        self._name = name
        self._told_api = api
        self._key = key
        self._timeout_s = timeout_s
        self._clock = clock
        self._client: httpx.Client | None = None
        self._before: tuple[float, float] | None = None  # when, and how many tokens by then
        self._answered_at: float | None = None

    def close(self) -> None:
        """Hang up. A later read connects again."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def read(self) -> ServerReading:
        """Look once. Never raises for what the network or the server does: the reading says."""
        try:
            reading = self._look()
        except (ServerError, OSError) as error:
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

        return ServerReading(
            state="ok",
            api="native",
            active_model=_text(health.get("active_model")),
            gpus=part("/gpu", _gpus),
            host=part("/system", lambda told: _host(told, self._name)),
            power_profile=part("/settings/power_profile", lambda told: _text(told.get("current"))),
            jobs=part("/jobs/stats", self._jobs) or (),
            problems=tuple(problems),
        )

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
                for job in _dicts(self._object(f"/jobs?status={status}&limit={limit}"), "jobs"):
                    kind = _KINDS.get(str(job.get("type")), str(job.get("type")))
                    of_kind = counts.setdefault(kind, {})
                    of_kind[status] = of_kind.get(status, 0) + 1
                    if status == "done" and (took_ms := _took_ms(job)) is not None:
                        latest.setdefault(kind, took_ms)
        except ServerError as error:
            if error.state == "timeout":
                raise
            counts = {
                "all": {
                    name: value
                    for name in ("pending", "running", "failed")
                    if (value := _count(stats.get(name))) is not None
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
        models = [_text(each.get("id")) for each in _dicts(self._object("/v1/models"), "data")]
        problems: tuple[str, ...] = ()
        metrics = ServerMetrics()
        try:
            metrics = parse_metrics(self._get("/metrics").decode("utf-8", "replace"))
        except ServerError as error:
            if error.state == "timeout":
                raise
            problems = (f"{error} (llama.cpp tells its metrics when started with --metrics)",)
        except ValueError as error:
            problems = (f"{self._url}/metrics is not in Prometheus's format: {error}",)
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
        try:
            told = json.loads(self._get(path))
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            raise ServerError("unsupported", f"{self._url}{path} does not answer a JSON object")
        return told

    def _get(self, path: str) -> bytes:
        """The body. Raises ServerError for every other answer, and for one that is late or huge."""
        if self._client is None:
            self._client = httpx.Client(timeout=self._timeout_s, trust_env=False)
        key = self._key()
        headers = {} if key is None else {"X-API-Key": key, "Authorization": f"Bearer {key}"}
        deadline = time.monotonic() + self._timeout_s
        body = b""
        try:
            with self._client.stream("GET", f"{self._url}{path}", headers=headers) as answer:
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > _MAX_BYTES:
                        raise ServerError("unsupported", f"{self._url}{path} answers without end")
                    if time.monotonic() > deadline:
                        raise httpx.ReadTimeout("late")
        except httpx.TimeoutException:
            raise ServerError(
                "timeout", f"{self._url}{path} does not answer within {self._timeout_s:g} s"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            self.close()
            told = str(error) or type(error).__name__
            raise ServerError("unreachable", f"{self._url} cannot be reached: {told}") from None
        if answer.status_code in (401, 403):
            raise ServerError("auth_failed", f"{self._url}{path} {_KEY_TROUBLE[key is None]}")
        if answer.status_code != 200:
            raise ServerError("error", f"{self._url}{path} answers {answer.status_code}")
        return body


_KEY_TROUBLE = {
    True: "wants a key: set http.api_key_file or http.api_key_env of this machine",
    False: "does not take the key that is set: it may need one with more rights",
}


def _gpus(told: Mapping[str, Any]) -> GpusReading:
    """``/gpu``: one GPU, memory in MiB."""
    used_mb, total_mb = _number(told.get("memory_used_mb")), _number(told.get("memory_total_mb"))
    gpu = GpuReading(
        uuid=_text(told.get("uuid")) or "gpu-0",
        index=0,
        name=_text(told.get("name")) or "GPU",
        temp_c=_number(told.get("temperature_gpu")),
        util_pct=_number(told.get("utilization_gpu")),
        vram_used_gb=None if used_mb is None else used_mb / _MB_PER_GB,
        vram_total_gb=None if not total_mb else total_mb / _MB_PER_GB,
        power_w=_number(told.get("power_draw_w")),
        power_limit_w=_number(told.get("power_limit_w")) or None,
        fan_pct=_number(told.get("fan_speed_pct")),
    )
    return GpusReading(state="ok", driver_version=_text(told.get("driver_version")), gpus=(gpu,))


def _host(told: Mapping[str, Any], name: str) -> HostReading:
    """``/system``: the CPUs' use as a fraction, memory and disks in units of 10**9 bytes."""
    load = _number(told.get("cpu_load"))
    disks = _dicts(told, "disk")
    disk = next((each for each in disks if each.get("mount") == "/"), next(iter(disks), {}))

    def gib(value: object) -> float | None:
        number = _number(value)
        return None if number is None else number * _GIB_PER_GB

    return HostReading(
        hostname=name,
        cpu_count=None,
        cpu_pct=None if load is None else 100 * load,
        load_1m=None,
        ram_used_gb=gib(told.get("ram_used_gb")),
        ram_total_gb=gib(told.get("ram_total_gb")),
        swap_used_gb=None,
        swap_total_gb=None,
        disk_path=Path(str(disk.get("mount", "/"))),
        disk_used_gb=gib(disk.get("used_gb")),
        disk_total_gb=gib(disk.get("total_gb")),
        uptime_s=None,
    )


def _took_ms(job: Mapping[str, Any]) -> float | None:
    try:
        began, ended = (
            datetime.fromisoformat(str(job[name])) for name in ("created_at", "completed_at")
        )
        took_ms = (ended - began).total_seconds() * 1000
    except (KeyError, ValueError, TypeError):
        return None
    return took_ms if took_ms >= 0 else None


def _dicts(told: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = told.get(name)
    listed: Iterable[object] = found if isinstance(found, list) else ()
    return [each for each in listed if isinstance(each, dict)]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e12 else None  # false for NaN as well


def _count(value: object) -> int | None:
    number = _number(value)
    return None if number is None or number < 0 else int(number)
