"""A filter of the preview history as part of a page's address, and back."""

from __future__ import annotations

from collections.abc import Mapping

from control_room.history.filters import CHOICES, PreviewFilter
from control_room.history.queries import PreviewPage

_MATCH = {"true": True, "false": False}


def from_query(query: Mapping[str, str]) -> tuple[PreviewFilter, list[str]]:
    """The filter that an address asks for, and what of it had to be ignored, for a person."""
    values: dict[str, str | bool] = {}
    ignored: list[str] = []
    for name, text in query.items():
        if name in CHOICES or name == "text":
            values[name] = text
        elif name == "exact_match" and text in _MATCH:
            values[name] = _MATCH[text]
        elif name == "exact_match":
            ignored.append(f"exact_match={text} in the address is ignored: it is true or false.")
        else:
            ignored.append(f"{name}={text} in the address is ignored: there is no such filter.")
    return PreviewFilter(**values), ignored  # type: ignore[arg-type]  # each name has its type above


def to_query(wanted: PreviewFilter) -> dict[str, str]:
    """The part of the address that asks for this filter."""
    query = {name: value for name in CHOICES if (value := getattr(wanted, name)) is not None}
    if wanted.exact_match is not None:
        query["exact_match"] = "true" if wanted.exact_match else "false"
    if wanted.text is not None:
        query["text"] = wanted.text
    return query


def describe(page: PreviewPage, offset: int) -> str:
    """How many previews match, and which of them the page shows."""
    many = f"{page.total:,}"
    if page.total != page.total_all:
        many = f"{page.total:,} of {page.total_all:,}"
    shown = f": {offset + 1:,}-{offset + len(page.rows):,}" if page.rows else ""
    return f"{many} previews, newest first{shown}"
