"""Single values out of other people's JSON, each as the type that it should have.

Every function raises :class:`WrongTypeError`, whose message says what was expected;
:func:`or_none` is for those who only leave it out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from control_room.recording.encoding import NON_FINITE, parse_timestamp

Meaning = TypeVar("Meaning")
Value = TypeVar("Value")

_MAX_TEXT = 20_000  # characters: an error message may carry a traceback
_MAX_INT = 2**63 - 1
_END_OF_TIME = 253_402_300_799  # 9999-12-31T23:59:59Z
_DURATION = re.compile(
    r"(?:(\d{1,9}(?:\.\d{1,9})?) ?d[a-z]*)? ?(?:(\d{1,9}(?:\.\d{1,9})?) ?h[a-z]*)? ?"
    r"(?:(\d{1,9}(?:\.\d{1,9})?) ?m[a-z]*)? ?(?:(\d{1,9}(?:\.\d{1,9})?) ?s[a-z]*)?"
)
_UNITS_S = (86_400, 3_600, 60, 1)


class WrongTypeError(ValueError):
    """The message says what was expected."""


def or_none(read: Callable[[object], Value], value: object) -> Value | None:
    """The value as ``read`` takes it; None where it is missing or of a wrong type."""
    try:
        return read(value)
    except WrongTypeError:
        return None


def whole(value: object) -> int:
    """A count: 15000, or 15000.0 from a writer that has only floats."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_INT:
        raise WrongTypeError("a whole number, 0 or more")
    return value


def any_float(value: object) -> float:
    """A number, or one of NaN and the infinities, which the recorder writes as texts."""
    if isinstance(value, str):
        value = NON_FINITE.get(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongTypeError("a number")
    try:
        return float(value)
    except OverflowError:
        raise WrongTypeError("a number that a float can hold") from None


def finite(value: object) -> float:
    """A number that is neither NaN nor infinite."""
    number = any_float(value)
    if not math.isfinite(number):
        raise WrongTypeError("a finite number")
    return number


def not_negative(value: object) -> float:
    """A finite number that is not negative."""
    number = finite(value)
    if number < 0:
        raise WrongTypeError("a number, 0 or more")
    return number


def fraction(value: object) -> float:
    """A number from 0 to 1."""
    number = finite(value)
    if not 0 <= number <= 1:
        raise WrongTypeError("a number from 0 to 1")
    return number


def text(value: object) -> str:
    """A text that can go out as UTF-8, cut to 20 000 characters."""
    if not isinstance(value, str):
        raise WrongTypeError("a text")
    # A lone surrogate can stand in JSON, but never go out again as UTF-8.
    return value[:_MAX_TEXT].encode("utf-8", "replace").decode("utf-8")


def word(value: object, words: Mapping[str, Meaning]) -> Meaning:
    """What ``value`` means by ``words``, case and surrounding spaces aside."""
    known = words.get(value.strip().lower()) if isinstance(value, str) else None
    if known is None:
        raise WrongTypeError("one of " + ", ".join(words))
    return known


def duration_s(value: object) -> float:
    """A time left: seconds, or a text such as "2h 15m", "45s" or "1d 3h"."""
    if not isinstance(value, str):
        return not_negative(value)
    parts = _DURATION.fullmatch(value.strip().lower())
    if parts is None or not any(parts.groups()):
        raise WrongTypeError('seconds, or a text such as "2h 15m"')
    amounts = (0.0 if part is None else float(part) for part in parts.groups())
    return sum(amount * unit for amount, unit in zip(amounts, _UNITS_S, strict=True))


def epoch_seconds(value: object) -> float:
    """A time: ISO 8601 (without a zone it is local time) or epoch seconds."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value.strip()).timestamp()
        except (ValueError, OverflowError, OSError):
            raise WrongTypeError("a time such as 2025-11-22T14:30:00+01:00") from None
    seconds = not_negative(value)
    if seconds > _END_OF_TIME:
        raise WrongTypeError("a time before the year 10000")
    return seconds


def moment(value: object) -> datetime:
    """A time told as a text, as our own records tell theirs."""
    try:
        if isinstance(value, str):
            return parse_timestamp(value)
    except ValueError:
        pass
    raise WrongTypeError("a time such as 2025-11-22T14:30:00+01:00")


def flag(value: object) -> bool:
    """true or false, and nothing that merely looks like it."""
    if not isinstance(value, bool):
        raise WrongTypeError("true or false")
    return value
