"""Which previews are asked for, as a condition of SQL with its parameters bound.

A filter is declared once, as a field of :class:`PreviewFilter`: the address of a page, the
parameters of the API and the widgets above the history follow from that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from control_room.history.folding import fold
from control_room.recording.fields import rules_of
from control_room.recording.records import PreviewRecord

# A list of what occurs, yes or no, a text to write, or a part of the one widget of lengths.
Widget = Literal["choice", "match", "text", "length"]


class Asking(NamedTuple):
    """What a filter declares beside its name and type: all else follows from it."""

    widget: Widget
    condition: str = ""  # of SQL, with one parameter; without one the column equals it
    label: str = ""  # without one that of the preview's field
    placeholder: str = "Any"
    is_more: bool = False  # it stands under "More filters"
    parameter: str = ""  # what the API calls it, where that differs
    older_parameter: str = ""  # what older pages call it
    about: str = ""  # for the API's description
    example: str = ""  # likewise


def asked_by(
    widget: Widget,
    *,
    condition: str = "",
    label: str = "",
    placeholder: str = "Any",
    is_more: bool = False,
    parameter: str = "",
    older_parameter: str = "",
    about: str = "",
    example: str = "",
) -> Mapping[str, Asking]:
    """``metadata`` for a field of :class:`PreviewFilter`; see :class:`Asking`."""
    asking = Asking(
        widget, condition, label, placeholder, is_more, parameter, older_parameter, about, example
    )
    return {_ASKING: asking}


_ASKING = "asking"
_CHOICE = asked_by("choice")
_LENGTH = "golden_tokens"
_TIME = "2026-01-31 or 2026-01-31T12:00"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewFilter:
    """Which previews; None asks for all. Times without a zone are UTC; both ends are included.

    Lengths are those of the golden answer in tokens: from ``min_length`` to before
    ``below_length``. Widgets are in this order.
    """

    regime: str | None = field(default=None, metadata=_CHOICE)
    source_pool: str | None = field(
        default=None, metadata=asked_by("choice", older_parameter="source")
    )
    failure_mode: str | None = field(default=None, metadata=_CHOICE)
    dataset_id: str | None = field(default=None, metadata=_CHOICE)
    pattern: str | None = field(default=None, metadata=_CHOICE)
    checkpoint_id: str | None = field(default=None, metadata=_CHOICE)
    exact_match: bool | None = field(
        default=None, metadata=asked_by("match", older_parameter="exactMatch")
    )
    normalized_match: bool | None = field(default=None, metadata=asked_by("match", is_more=True))
    min_length: int | None = field(
        default=None, metadata=asked_by("length", condition=f"{_LENGTH} >= ?", is_more=True)
    )
    below_length: int | None = field(
        default=None, metadata=asked_by("length", condition=f"{_LENGTH} < ?", is_more=True)
    )
    length_known: bool | None = field(
        default=None,
        metadata=asked_by("length", condition=f"({_LENGTH} IS NOT NULL) = ?", is_more=True),
    )
    min_step: int | None = field(
        default=None,
        metadata=asked_by("text", condition="step >= ?", label="From step", is_more=True),
    )
    max_step: int | None = field(
        default=None,
        metadata=asked_by("text", condition="step <= ?", label="To step", is_more=True),
    )
    since: datetime | None = field(
        default=None,
        metadata=asked_by(
            "text", condition="ts >= ?", label="From", placeholder=_TIME, is_more=True
        ),
    )
    until: datetime | None = field(
        default=None,
        metadata=asked_by("text", condition="ts <= ?", label="To", placeholder=_TIME, is_more=True),
    )
    example_id: str | None = field(default=None, metadata=asked_by("text", is_more=True))
    text: str | None = field(
        default=None,
        metadata=asked_by(
            "text",
            condition="contains(search, ?)",
            label="Text in prompt or answers",
            placeholder="Any case",
            parameter="q",
            about="Text in prompt or answers, in any case.",
            example="sum",
        ),
    )

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return any(getattr(self, name) is not None for name in FILTERS)

    def where(self) -> tuple[str, list[Any]]:
        """The condition and its parameters."""
        conditions: list[str] = []
        values: list[Any] = []
        for name, declared in FILTERS.items():
            value = getattr(self, name)
            if value is not None:
                conditions.append(declared.asking.condition or f"{name} = ?")
                values.append(fold(value) if name == "text" else _bound(value))
        return " AND ".join(conditions) or "true", values


class Filter(NamedTuple):
    """A filter as it is declared, its type in words and its label with it."""

    name: str
    kind: str  # the annotation without "| None": "str", "bool", "int" or "datetime"
    label: str
    asking: Asking

    @property
    def parameter(self) -> str:
        """What the API calls it."""
        return self.asking.parameter or self.name


def _filters() -> dict[str, Filter]:
    labels = {name: rule.label for name, rule in rules_of(PreviewRecord).items()}
    filters = {}
    for each in fields(PreviewFilter):
        asking: Asking = each.metadata[_ASKING]
        label = asking.label or labels.get(each.name, "")
        kind = str(each.type).removesuffix(" | None")
        filters[each.name] = Filter(each.name, kind, label, asking)
    return filters


FILTERS: Mapping[str, Filter] = _filters()
# What a person chooses from a list; each is a column and a field of PreviewFilter.
CHOICES = tuple(name for name, each in FILTERS.items() if each.asking.widget == "choice")


def _bound(value: object) -> object:
    """As the tables have it: their times are UTC without a zone."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value
