"""How values become the text of a log line or a status file: JSON, UTF-8, ISO 8601."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

encode_text = json.encoder.encode_basestring  # a string as JSON, the quickest way there is

NON_FINITE: Mapping[str, float] = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def plain(value: object) -> object:
    """What a NumPy or PyTorch scalar or a datetime stands for; else ``TypeError``."""
    if isinstance(value, datetime):
        return iso_timestamp(value)
    item = getattr(value, "item", None)
    if callable(item):
        found: object = item()
        if type(found) is not type(value):
            return found
    raise TypeError(f"{type(value).__name__} is nothing that JSON knows")


_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=plain
).encode


def to_json(value: object) -> str:
    """JSON on one line. NaN and infinity, which JSON lacks, become the keys of ``NON_FINITE``.

    Scalars of NumPy, PyTorch and the like are written as plain numbers. Raises ``TypeError`` or
    ``ValueError`` for what JSON cannot hold.
    """
    try:
        return _encode(value)
    except ValueError:
        return _encode(_finite(value))


def _finite(value: object, depth: int = 0) -> object:
    if depth > 100:
        raise ValueError("nested too deeply, or contains itself")
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _finite(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner, depth + 1) for inner in value]
    if value is None or isinstance(value, (str, int)):
        return value
    return _finite(plain(value), depth + 1)


def to_utf8(text: str) -> bytes:
    """UTF-8, with U+FFFD for surrogates that lack their partner (a tokenizer can emit them)."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def is_text(path: Path) -> bool:
    """Whether the bytes of a path are UTF-8; of others no file and no answer can tell."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def load_json(text: bytes, *, most_values: int | None = None) -> Any:
    """JSON that somebody else wrote, its texts and keys such that UTF-8 can hold them.

    Raises ``ValueError``, for what is nested too deeply as well, and for what may hold more than
    ``most_values``: each takes many times its size.
    """
    if most_values is not None and sum(map(text.count, (b",", b"[", b"{"))) > most_values:
        raise ValueError(f"more than {most_values:,} values")
    try:
        values = json.loads(text.decode().removeprefix("\ufeff"))
        if b"\\ud" in text or b"\\uD" in text:  # half a surrogate pair may be among them
            values = json.loads(to_utf8(json.dumps(values, ensure_ascii=False)))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return values


def iso_timestamp(ts: datetime) -> str:
    """ISO 8601 with milliseconds and the UTC offset, e.g. ``2025-11-22T14:30:00.000+01:00``."""
    offset = ts.utcoffset()
    if offset is None:
        ts = ts.astimezone()
    elif offset.seconds % 60:
        ts = ts.astimezone(UTC)  # most readers know offsets of whole minutes only
    return ts.isoformat(timespec="milliseconds")


def parse_timestamp(text: str) -> datetime:
    """An aware datetime from ISO 8601; without an offset it is local time.

    Raises ``ValueError`` when it is no timestamp.
    """
    ts = datetime.fromisoformat(text)
    try:
        aware = ts if ts.utcoffset() is not None else ts.astimezone()
        aware.astimezone(UTC)  # whoever compares or stores it needs it in UTC
        return aware
    except OverflowError as error:
        raise ValueError(f"{text} is out of range") from error
