"""A filter of the preview history as part of an address, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

from control_room.history.filters import FILTERS, PreviewFilter
from control_room.history.queries import PreviewPage

_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)
_LARGEST = 2**63 - 1  # what a column of the history holds


def from_query(query: Mapping[str, str]) -> tuple[PreviewFilter, list[str]]:
    """The filter that an address asks for, and what of it had to be ignored, for a person."""
    values: dict[str, Any] = {}
    ignored: list[str] = []
    for name, text in query.items():
        if name not in _READERS:
            ignored.append(f"{name}={_short(text)} in the address is ignored: no such filter.")
        elif text:
            read, expected = _READERS[name]
            try:
                values[name] = read(name, text)
            except ValueError:
                ignored.append(f"{name}={_short(text)} in the address is ignored: {expected}.")
    return PreviewFilter(**values), ignored


def to_query(wanted: PreviewFilter) -> dict[str, str]:
    """The part of the address that asks for this filter."""
    return {
        name: _written(value) for name in FILTERS if (value := getattr(wanted, name)) is not None
    }


def describe(page: PreviewPage, offset: int) -> str:
    """How many previews match, and which of them the page shows."""
    many = f"{page.total:,}"
    if page.total != page.total_all:
        many = f"{page.total:,} of {page.total_all:,}"
    shown = f": {offset + 1:,}-{offset + len(page.rows):,}" if page.rows else ""
    return f"{many} previews, newest first{shown}"


def day_start(day: datetime) -> datetime:
    """The first moment of a day, in the server's zone."""
    return datetime.combine(day.date(), time.min).astimezone()


def day_end(day: datetime) -> datetime:
    """The last moment of a day, in the server's zone."""
    return day_start(day + timedelta(days=1)) - timedelta(microseconds=1)


def _text(_: str, text: str) -> str:
    return text


def _truth(_: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def _count(_: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > _LARGEST:
        raise ValueError(text)
    return int(text)


def moment(name: str, text: str) -> datetime:
    """A moment from ISO 8601, without an offset in the server's zone; a day alone means all of it.

    ``name`` is "since" or "until". Raises ``ValueError`` when it is none.
    """
    found = datetime.fromisoformat(text)
    try:
        if len(text) == len("2026-01-31"):
            return day_end(found) if name == "until" else day_start(found)
        return found.astimezone(UTC)
    except OverflowError:  # at the ends of the calendar, in another zone
        return _FIRST if found.year < _LAST.year else _LAST


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


_Reader = tuple[Callable[[str, str], Any], str]
_BY_KIND: Mapping[str, _Reader] = {
    "str": (_text, "it is a text"),
    "bool": (_truth, "it is true or false"),
    "int": (_count, "it is a whole number from 0"),
    "datetime": (moment, "it is a date or a time, such as 2026-01-31 or 2026-01-31T12:00"),
}
_READERS: Mapping[str, _Reader] = {name: _BY_KIND[each.kind] for name, each in FILTERS.items()}
