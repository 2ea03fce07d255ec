"""Which previews are asked for, as a condition of SQL with its parameters bound."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from control_room.history.folding import fold

# What a person chooses from a list; each is a column and a field of PreviewFilter.
CHOICES = ("regime", "source_pool", "failure_mode", "dataset_id", "pattern", "checkpoint_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewFilter:
    """Which previews; None asks for all. Times without a zone are UTC; both ends are included.

    Lengths are those of the golden answer in tokens: from ``min_length`` to before
    ``below_length``.
    """

    regime: str | None = None
    source_pool: str | None = None
    exact_match: bool | None = None
    normalized_match: bool | None = None
    failure_mode: str | None = None
    dataset_id: str | None = None
    pattern: str | None = None
    checkpoint_id: str | None = None
    example_id: str | None = None
    min_length: int | None = None
    below_length: int | None = None
    length_known: bool | None = None
    min_step: int | None = None
    max_step: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None  # in prompt, golden or answer, whatever the case

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return any(getattr(self, each.name) is not None for each in fields(self))

    def where(self) -> tuple[str, list[Any]]:
        """The condition and its parameters."""
        conditions: list[str] = []
        values: list[Any] = []
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None:
                conditions.append(_CONDITIONS.get(each.name, f"{each.name} = ?"))
                values.append(fold(value) if each.name == "text" else _bound(value))
        return " AND ".join(conditions) or "true", values


_CONDITIONS = {
    "min_length": "golden_tokens >= ?",
    "below_length": "golden_tokens < ?",
    "length_known": "(golden_tokens IS NOT NULL) = ?",
    "min_step": "step >= ?",
    "max_step": "step <= ?",
    "since": "ts >= ?",
    "until": "ts <= ?",
    "text": "contains(search, ?)",
}


def _bound(value: object) -> object:
    """As the tables have it: their times are UTC without a zone."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value
