"""Asks one server with OpenAI's API: a bounded time for each answer, attempts with pauses.

What a single example meets (an error, half a body, no answer in time) is that example's outcome.
What would meet every example (no such model, a refused key) ends the round.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

import httpx
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_never,
    wait_random_exponential,
)

from control_room.error_words import words_for
from control_room.previews.answers import (
    MOST_VALUES,
    Again,
    HttpAnswer,
    NoReply,
    Refused,
    Reply,
    RoundFailed,
    ce_after,
    checked,
    reply_of,
)
from control_room.previews.checkpoints import Checkpoint
from control_room.previews.config import Decoding, Server
from control_room.previews.examples import Example
from control_room.recording.encoding import load_json
from control_room.security.redaction import without
from control_room.security.secret import BadSecret, Secret

_FIRST_PAUSE_S = 0.25
_AWAY_PAUSE_S = 1.0
_POLL_S = 0.5
_HEALTH_S = 30.0
_MAX_BYTES = 16 * 2**20  # of one answer
_SOURCE = "control-room"  # who registers a checkpoint, where a server wants to know

Told = TypeVar("Told")
Read = Callable[[Any, float], Told]  # of an answer's JSON and its time in ms


class Asker:
    """One server, for the length of the block. ``away`` is told when it cannot be reached."""

    def __init__(
        self,
        server: Server,
        decoding: Decoding,
        away: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._away = away
        self._server = server
        self._decoding = decoding
        self._address = server.url
        self._log_probs = decoding.log_probs  # until the server says that it cannot
        self._echo = decoding.golden_ce and server.api == "completions"
        limits = httpx.Limits(
            max_connections=server.concurrency + 1,
            max_keepalive_connections=server.concurrency + 1,
        )
        self._client = httpx.AsyncClient(limits=limits, trust_env=False)
        self._loaded_as: str | None = None  # what the server calls what it has loaded
        self._wait = wait_random_exponential(_FIRST_PAUSE_S, max=server.longest_pause_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    @property
    def host(self) -> str:
        """The server's name and port."""
        return self._address.place

    async def load(self, checkpoint: Checkpoint) -> str | None:
        """Have the server load the checkpoint, where it can.

        Which model its health says is active; None where an answer itself tells. Raises
        :class:`RoundFailed` when it refuses.
        """
        name, path = checkpoint.name, self._server.path_of(checkpoint)
        try:
            match self._server.load:
                case "none":
                    return None
                case "set_active":
                    await self._order("/models/set_active", {"id": name})
                case "reload":
                    told = await self._order("/models/reload", {"model_path": path})
                    self._loaded_as = _model_id(told)
                case "pool":
                    self._loaded_as = await self._into_the_pool(name, path)
        except (Again, Refused, NoReply, RoundFailed) as error:
            place = "" if path is None else f" from {path} (server.model_path)"
            raise RoundFailed(f"the server does not load {name}{place}: {error}") from None
        return None if self._loaded_as is not None else await self._active_model(name)

    async def _into_the_pool(self, name: str, path: str | None) -> str:
        where = {} if path is None else {"path": path}
        try:
            await self._order("/models/register", {"id": name, "source": _SOURCE, **where})
        except Refused as error:
            if "already" not in str(error):
                raise
        query = {"model_id": name, **where}
        told = await self._order(f"/models/pool/load?{urlencode(query)}", query)
        return _model_id(told) or name

    def names_of(self, checkpoint: Checkpoint) -> tuple[str, ...]:
        """What the server may call the checkpoint."""
        path = self._server.path_of(checkpoint)
        return (checkpoint.name,) if path is None else (checkpoint.name, PurePosixPath(path).name)

    async def ask(self, example: Example, checkpoint: Checkpoint, sample_index: int) -> Reply:
        """One answer. Raises :class:`NoReply` for this example, :class:`RoundFailed` for all."""
        while True:
            body = self._body(example, checkpoint, sample_index)
            try:
                return await self._waiting_for_it(self._path, body, reply_of)
            except Refused as error:
                if not self._log_probs:
                    raise NoReply(str(error)) from None
                self._log_probs = False  # perhaps that is what it cannot
            except Again as error:
                if error.reply is not None:
                    return error.reply
                raise NoReply(str(error)) from None

    async def golden_ce(self, example: Example, checkpoint: Checkpoint) -> float | None:
        """Mean negative log-probability (nats) of the golden answer's tokens; None: not told."""
        if not self._echo:
            return None
        body = {
            "model": self._model(checkpoint),
            "prompt": example.prompt + example.golden,
            "max_tokens": 0,
            "temperature": 0.0,
            "echo": True,
            "logprobs": 1,
        }
        try:
            told = await self._waiting_for_it(self._path, body, _as_it_is)
        except Refused:
            self._echo = False
            return None
        except Again:
            return None
        return ce_after(told, len(example.prompt))

    @property
    def _path(self) -> str:
        return "/v1/chat/completions" if self._server.api == "chat" else "/v1/completions"

    def _model(self, checkpoint: Checkpoint) -> str:
        if self._loaded_as is not None and not self._server.names_a_model:
            return self._loaded_as
        return checkpoint.filled_into(self._server.model)

    def _body(
        self, example: Example, checkpoint: Checkpoint, sample_index: int
    ) -> Mapping[str, Any]:
        decoding, chat = self._decoding, self._server.api == "chat"
        body: dict[str, Any] = {
            "model": self._model(checkpoint),
            "max_tokens": decoding.max_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "stream": False,
        }
        if chat:
            body["messages"] = list(example.messages)
        else:
            body["prompt"] = example.prompt
        if decoding.seed is not None:
            body["seed"] = decoding.seed + sample_index
        if self._log_probs:
            body["logprobs"] = True if chat else 1
        return body

    async def _order(self, path: str, body: Mapping[str, Any]) -> Any:
        """Have the server do something that takes its time."""
        return await self._waiting_for_it(
            path, body, _as_it_is, timeout_s=self._server.load_timeout_s
        )

    async def _waiting_for_it(
        self,
        path: str,
        body: Mapping[str, Any],
        read: Read[Told],
        *,
        timeout_s: float | None = None,
    ) -> Told:
        """What is read from the answer. A server that is away is waited for, until cancelled."""
        async for waiting in AsyncRetrying(
            retry=retry_if_exception_type(httpx.ConnectError),
            wait=wait_random_exponential(_AWAY_PAUSE_S, max=self._server.longest_pause_s),
            stop=stop_never,
            before_sleep=self._say_away,
            reraise=True,
        ):
            with waiting:
                return await self._with_attempts(
                    path, body, read, self._server.timeout_s if timeout_s is None else timeout_s
                )
        raise AssertionError("tenacity either returns or raises")

    def _say_away(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        why = "no connection" if error is None else words_for(error)
        self._away(f"{self.host} cannot be reached ({why}); it is waited for")

    async def _with_attempts(
        self, path: str, body: Mapping[str, Any], read: Read[Told], timeout_s: float
    ) -> Told:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(Again),
            wait=self._pause,
            stop=stop_after_attempt(self._server.attempts),
            reraise=True,
        ):
            with attempt:
                return read(*await self._post(path, body, timeout_s))
        raise AssertionError("tenacity either returns or raises")

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        asked_s = error.pause_s if isinstance(error, Again) else None
        return self._wait(state) if asked_s is None else min(asked_s, self._server.longest_pause_s)

    async def _post(
        self, path: str, body: Mapping[str, Any], timeout_s: float
    ) -> tuple[Any, float]:
        try:
            key = self._server.key()
        except BadSecret as error:
            raise RoundFailed(str(error)) from None
        began = time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                told = await self._exchange("POST", path, key, timeout_s, json=body)
        except httpx.ConnectError:
            raise
        except (TimeoutError, httpx.TimeoutException):
            raise Again(f"no answer within {timeout_s:g} s") from None
        except httpx.HTTPError as error:
            raise Again(f"the connection broke: {words_for(error)}") from None
        time_ms = 1000 * (time.monotonic() - began)
        return checked(told), time_ms

    async def _exchange(
        self, method: str, path: str, key: Secret | None, timeout_s: float, **sent: Any
    ) -> HttpAnswer:
        """One answer of bounded size, without what proved who asks. Redirects are not followed."""
        headers = {"Accept-Encoding": "identity", **self._address.headers(key)}
        async with self._client.stream(
            method,
            self._address.at(path),
            headers=headers,
            timeout=httpx.Timeout(timeout_s, pool=None),
            **sent,
        ) as answer:
            if answer.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
                raise Again("the answer is packed, which was not asked for")
            body = bytearray()
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise Again(f"the answer is longer than {_MAX_BYTES // 2**20} MiB")
        told = without(self._address.secrets(key), bytes(body))
        return HttpAnswer(answer.status_code, answer.headers, told)

    async def _active_model(self, wanted: str) -> str | None:
        """What is active, once that is ``wanted`` or the time for loading is over."""
        until = time.monotonic() + self._server.load_timeout_s
        active = None
        while time.monotonic() < until:
            try:
                async with asyncio.timeout(_HEALTH_S):
                    answer = await self._exchange("GET", "/health", None, _HEALTH_S)
                told = load_json(answer.body, most_values=MOST_VALUES)
                active = told.get("active_model") if isinstance(told, dict) else None
            except (httpx.HTTPError, Again, ValueError, TimeoutError):
                active = None  # busy loading
            if active == wanted:
                break
            await asyncio.sleep(_POLL_S)
        return active if isinstance(active, str) else None


def _as_it_is(told: Any, _: float) -> Any:
    return told


def _model_id(told: Any) -> str | None:
    found = told.get("model_id") if isinstance(told, dict) else None
    return found if isinstance(found, str) and found else None
