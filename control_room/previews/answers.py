"""What a server's answers mean: a reply, trouble with one example, or with all of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from control_room.recording.encoding import load_json
from control_room.security.redaction import redacted

# A model that is not there: some servers say so with 400, and one calls it an error in a 200.
# Its message begins with it: further on it may quote the prompt, in which anything can stand.
_UNKNOWN_MODEL = re.compile(
    r"""
    \s*(?:error:?\s+|failed:?\s+)?(?:the\s+)?
    (?: model_not_found\b
      | (?:unknown|no\ such)\ model\b
      | model\b[\s:]*\S{1,200}\s+(?:is\s+|was\s+)?
        (?:not\ (?:loaded|found|registered|available)|does\ not\ exist)
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NO_MODEL = (
    "the server has no such model or address; server.model is what it is asked for, server.load "
    "has it load a checkpoint"
)
_SHOWN = 300  # characters of what a server said
MOST_VALUES = 1_000_000  # in JSON: each takes many times its size
_MOST_TOKENS = 10**9  # a larger number is none of tokens


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

    @property
    def failed(self) -> bool:
        """Whether the server itself calls the text an error."""
        return self.finish_reason == "error"


class NoReply(Exception):
    """This example got no answer. The text says why."""


class RoundFailed(Exception):
    """No example would get an answer. The text says why, and what to do."""


class Again(Exception):
    """Worth another attempt. ``pause_s`` is what the server asked for."""

    def __init__(
        self, reason: str, pause_s: float | None = None, *, reply: Reply | None = None
    ) -> None:
        super().__init__(reason)
        self.pause_s = pause_s
        self.reply = reply  # what to make do with when no attempt brings better


class Refused(Exception):
    """The request is not to the server's liking: the same again would not be either."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came over the network; ``headers`` by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The beginning of the body, for a person."""
        return redacted(self.body[: 4 * _SHOWN].decode("utf-8", "replace"))[:_SHOWN]


def checked(answer: HttpAnswer) -> Any:
    """The JSON of a good answer; for others what they mean."""
    status, told = answer.status, answer.text
    if status in (401, 403):
        raise RoundFailed(f"the server refuses the key ({status}); set server.api_key_file")
    if status == 404 or (status == 400 and _says_unknown_model(answer)):
        raise RoundFailed(f"{_NO_MODEL} ({status}): {told}")
    if status == 429 or status >= 500:
        raise Again(f"HTTP {status}: {told}", _retry_after(answer))
    if status >= 400:
        raise Refused(f"HTTP {status}: {told}")
    try:
        return load_json(answer.body, most_values=MOST_VALUES)
    except ValueError:
        kind = redacted(answer.headers.get("content-type", "no content type")[:_SHOWN])
        raise Again(f"the answer is no JSON ({kind}): {told!r}") from None


def _says_unknown_model(answer: HttpAnswer) -> bool:
    """By the error's message or code, in the places where servers put them."""
    try:
        told = load_json(answer.body, most_values=MOST_VALUES)
    except ValueError:
        return _UNKNOWN_MODEL.match(answer.text) is not None
    said: list[object] = [told]
    if isinstance(told, dict):
        error = told.get("error")
        said += [told.get("detail"), told.get("message"), error]
        if isinstance(error, dict):
            said += [error.get("message"), error.get("code"), error.get("type")]
    return any(isinstance(text, str) and _UNKNOWN_MODEL.match(text) for text in said)


def _retry_after(answer: HttpAnswer) -> float | None:
    try:
        return max(0.0, float(answer.headers["retry-after"]))
    except (KeyError, ValueError):
        return None


def reply_of(told: Any, time_ms: float) -> Reply:
    """The reply. One that the server calls an error is worth another attempt."""
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
    reply = Reply(
        text=text or "",
        time_ms=time_ms,
        finish_reason=reason if isinstance(reason, str) and reason else None,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        model_tokens=_count(usage.get("completion_tokens")),
        log_probs=_log_probs(choice.get("logprobs")),
        model=model if isinstance(model, str) and model else None,
    )
    if not reply.failed:
        return reply
    if _UNKNOWN_MODEL.match(reply.text):
        raise RoundFailed(f"{_NO_MODEL}: {reply.text[:_SHOWN]}")
    raise Again(f"the server answered with an error: {reply.text[:_SHOWN]}", reply=reply)


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_TOKENS:
        return None
    return value


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


def ce_after(told: Any, start: int) -> float | None:
    """Over the tokens that begin at or after ``start`` characters."""
    try:
        log_probs = told["choices"][0]["logprobs"]
        pairs = zip(log_probs["text_offset"], log_probs["token_logprobs"], strict=True)
        golden = [float(value) for offset, value in pairs if offset >= start]
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return -sum(golden) / len(golden) if golden else None
