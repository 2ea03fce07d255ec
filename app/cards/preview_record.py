"""All that was logged of a preview, field by field, under the names that SQL and the API use."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from markupsafe import Markup

from app.cards import kit
from app.text.html import NOTHING, fill, text
from app.views.models import Preview
from control_room.history.queries import PreviewRow
from control_room.recording.fields import rules_of
from control_room.recording.records import PreviewRecord

_MISSING = object()
# On the card above: with boxes of their own, and their difference marked.
_ELSEWHERE = ("prompt", "golden", "model_answer")
_RULES = rules_of(PreviewRecord)


def html(preview: Preview | PreviewRow) -> Markup:
    """The fields with a value, and the names of those without; the three texts stand elsewhere."""
    values = {
        name: value
        for name in _RULES
        if name not in _ELSEWHERE and (value := getattr(preview, name, _MISSING)) is not _MISSING
    }
    known = {name: value for name, value in values.items() if value is not None}
    said = [(name, _with_unit(_said(value), name)) for name, value in known.items()]
    missing = ", ".join(name for name in values if name not in known)
    return kit.bare(
        kit.heading("As it was logged"),
        kit.rows(said, two_columns=True),
        *_curves(known),
        kit.note(f"Not logged: {missing}") if missing else NOTHING,
    )


def _with_unit(said: str, name: str) -> Markup:
    unit = _RULES[name].about.unit
    return fill("{} {}", said, unit) if unit else text(said)


def _said(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g}"
        case datetime():
            return f"{value.astimezone():%Y-%m-%d %H:%M:%S.%f %Z}"
        case Mapping():
            return ", ".join(f"{k} {'kept' if v else 'broken'}" for k, v in value.items())
        case str() | int():
            return str(value)
        case Sequence():
            return _numbers(value)
    return repr(value)


def _numbers(values: Sequence[float]) -> str:
    finite = [value for value in values if math.isfinite(value)]
    count = f"{len(values):,} values"
    if len(finite) < len(values):
        count += f", {len(finite):,} of them finite"
    if not finite:
        return count
    return f"{count}: mean {sum(finite) / len(finite):.4g}, lowest {min(finite):.4g}"


def _curves(known: Mapping[str, object]) -> Iterator[Markup]:
    for name, value in known.items():
        if isinstance(value, Sequence) and not isinstance(value, str):
            curve = kit.sparkline(value, name, ("first", "last"))
            if curve:
                yield kit.heading(name) + curve
