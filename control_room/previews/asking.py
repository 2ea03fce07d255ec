"""Asks one server with OpenAI's API: a bounded time for each answer, attempts with pauses.

What a single example meets (an error, half a body, no answer in time) is that example's outcome.
What would meet every example (no such model, a refused key) ends the round.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import httpx
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_never,
    wait_random_exponential,
)

from control_room.previews.checkpoints import Checkpoint
from control_room.previews.config import Decoding, Server
from control_room.previews.examples import Example

_MAX_BYTES = 64 * 2**20
_FIRST_PAUSE_S = 0.25
_AWAY_PAUSE_S = 1.0
_POLL_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer and what the server told of it; None: it did not."""

    text: str
    time_ms: float  # of the attempt that brought it
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    model_tokens: int | None = None
    log_probs: tuple[float, ...] | None = None
    model: str | None = None


class NoReply(Exception):
    """This example got no answer. The text says why."""


class RoundFailed(Exception):
    """No example would get an answer. The text says why, and what to do."""


class _Again(Exception):
    """Worth another attempt. ``pause_s`` is what the server asked for."""

    def __init__(self, reason: str, pause_s: float | None = None) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


class _Refused(Exception):
    """The request is not to the server's liking: the same again would not be either."""


class Asker:
    """One server, for the length of the block."""

    def __init__(self, server: Server, decoding: Decoding) -> None:
        self._server = server
        self._decoding = decoding
        self._url = server.url.rstrip("/")
        self._log_probs = decoding.log_probs  # until the server says that it cannot
        self._echo = decoding.golden_ce and server.api == "completions"
        limits = httpx.Limits(
            max_connections=server.concurrency + 1,
            max_keepalive_connections=server.concurrency + 1,
        )
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(server.timeout_s, pool=None), limits=limits, trust_env=False
        )
        self._wait = wait_random_exponential(_FIRST_PAUSE_S, max=server.longest_pause_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    @property
    def host(self) -> str:
        """The server's name and port."""
        return httpx.URL(self._url).netloc.decode()

    async def load(self, checkpoint: Checkpoint) -> str | None:
        """Have the server load the checkpoint, where it can; which model it says is active.

        Raises :class:`RoundFailed` when it refuses.
        """
        if self._server.load == "none":
            return None
        body = {"id": checkpoint.name} if self._server.load == "set_active" else {}
        try:
            await self._waiting_for_it(f"/models/{self._server.load}", body)
        except (_Again, _Refused, NoReply) as error:
            raise RoundFailed(f"the server does not load {checkpoint.name}: {error}") from None
        return await self._active_model(checkpoint.name)

    async def ask(self, example: Example, checkpoint: Checkpoint, sample_index: int) -> Reply:
        """One answer. Raises :class:`NoReply` for this example, :class:`RoundFailed` for all."""
        while True:
            body = self._body(example, checkpoint, sample_index)
            try:
                told, time_ms = await self._waiting_for_it(self._path, body)
                return _reply(told, time_ms)
            except _Refused as error:
                if not self._log_probs:
                    raise NoReply(str(error)) from None
                self._log_probs = False  # perhaps that is what it cannot
            except _Again as error:
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
            told, _ = await self._waiting_for_it(self._path, body)
        except _Refused:
            self._echo = False
            return None
        except _Again:
            return None
        return _ce_after(told, len(example.prompt))

    @property
    def _path(self) -> str:
        return "/v1/chat/completions" if self._server.api == "chat" else "/v1/completions"

    def _model(self, checkpoint: Checkpoint) -> str:
        told = self._server.model.replace("{checkpoint}", checkpoint.name)
        return told.replace("{step}", str(checkpoint.step))

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

    async def _waiting_for_it(self, path: str, body: Mapping[str, Any]) -> tuple[Any, float]:
        """The answer and its time in ms. A server that is away is waited for, until cancelled."""
        async for waiting in AsyncRetrying(
            retry=retry_if_exception_type(httpx.ConnectError),
            wait=wait_random_exponential(_AWAY_PAUSE_S, max=self._server.longest_pause_s),
            stop=stop_never,
            reraise=True,
        ):
            with waiting:
                return await self._with_attempts(path, body)
        raise AssertionError("tenacity either returns or raises")

    async def _with_attempts(self, path: str, body: Mapping[str, Any]) -> tuple[Any, float]:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(_Again),
            wait=self._pause,
            stop=stop_after_attempt(self._server.attempts),
            reraise=True,
        ):
            with attempt:
                return await self._post(path, body)
        raise AssertionError("tenacity either returns or raises")

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        asked_s = error.pause_s if isinstance(error, _Again) else None
        return self._wait(state) if asked_s is None else min(asked_s, self._server.longest_pause_s)

    async def _post(self, path: str, body: Mapping[str, Any]) -> tuple[Any, float]:
        headers = {}
        try:
            key = self._server.key()
        except OSError as error:
            raise RoundFailed(f"the key cannot be read: {error}") from None
        if key is not None:
            headers = {"Authorization": f"Bearer {key}", "X-API-Key": key}
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._server.timeout_s):
                told = await self._client.post(f"{self._url}{path}", json=body, headers=headers)
        except httpx.ConnectError:
            raise
        except (TimeoutError, httpx.TimeoutException):
            raise _Again(f"no answer within {self._server.timeout_s:g} s") from None
        except httpx.HTTPError as error:
            raise _Again(f"the connection broke: {error or type(error).__name__}") from None
        time_ms = 1000 * (time.monotonic() - began)
        return _checked(told), time_ms

    async def _active_model(self, wanted: str) -> str | None:
        """What is active, once that is ``wanted`` or the time for loading is over."""
        until = time.monotonic() + self._server.load_timeout_s
        active = None
        while time.monotonic() < until:
            try:
                told = (await self._client.get(f"{self._url}/health")).json()
                active = told.get("active_model") if isinstance(told, dict) else None
            except (httpx.HTTPError, ValueError):
                active = None  # busy loading
            if active == wanted:
                break
            await asyncio.sleep(_POLL_S)
        return active if isinstance(active, str) else None


def _checked(answer: httpx.Response) -> Any:
    """The JSON of a good answer; for others what they mean."""
    status, told = answer.status_code, answer.text[:300]
    if status in (401, 403):
        raise RoundFailed(f"the server refuses the key ({status}); set server.api_key_file")
    if status == 404:
        raise RoundFailed(f"the server has no such model or address (404): {told}")
    if status == 429 or status >= 500:
        raise _Again(f"HTTP {status}: {told}", _retry_after(answer))
    if status >= 400:
        raise _Refused(f"HTTP {status}: {told}")
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError):
        kind = answer.headers.get("content-type", "no content type")
        raise _Again(f"the answer is no JSON ({kind}): {told!r}") from None


def _retry_after(answer: httpx.Response) -> float | None:
    try:
        return max(0.0, float(answer.headers["retry-after"]))
    except (KeyError, ValueError):
        return None


def _reply(told: Any, time_ms: float) -> Reply:
    try:
        choice = told["choices"][0]
        message = choice.get("message")
        text = choice["text"] if message is None else message["content"]
        if text is not None and not isinstance(text, str):
            raise TypeError
    except (KeyError, IndexError, TypeError, AttributeError):
        raise NoReply(f"the answer holds no text: {json.dumps(told)[:200]}") from None
    usage = told.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    reason, model = choice.get("finish_reason"), told.get("model")
    return Reply(
        text=text or "",
        time_ms=time_ms,
        finish_reason=reason if isinstance(reason, str) else None,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        model_tokens=_count(usage.get("completion_tokens")),
        log_probs=_log_probs(choice.get("logprobs")),
        model=model if isinstance(model, str) and model else None,
    )


def _count(value: object) -> int | None:
    good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if good else None  # type: ignore[return-value]  # it is an int


def _log_probs(told: Any) -> tuple[float, ...] | None:
    """Of chat: content[].logprob; of completions: token_logprobs."""
    if not isinstance(told, dict):
        return None
    content = told.get("content")
    values = (
        [each.get("logprob") if isinstance(each, dict) else None for each in content]
        if isinstance(content, list)
        else told.get("token_logprobs")
    )
    if not isinstance(values, list) or not all(isinstance(value, int | float) for value in values):
        return None
    return tuple(float(value) for value in values)


def _ce_after(told: Any, start: int) -> float | None:
    """Over the tokens that begin at or after ``start`` characters."""
    try:
        log_probs = told["choices"][0]["logprobs"]
        pairs = zip(log_probs["text_offset"], log_probs["token_logprobs"], strict=True)
        golden = [float(value) for offset, value in pairs if offset >= start]
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return -sum(golden) / len(golden) if golden else None
