"""The fields of the preview record as those of a pydantic model: the record alone lists them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, get_type_hints

from pydantic import Field

from control_room.history.queries import LIST_COLUMNS
from control_room.recording.fields import FieldRule, rules_of
from control_room.recording.records import PreviewRecord


def preview_fields(*, lists: bool) -> dict[str, tuple[Any, Any]]:
    """Type and default of each field; those that are lists of numbers only with ``lists``.

    What may be unknown is None by default; ``ts`` is known of whatever was logged. JSON has no NaN
    and no infinity, so a number in a list may be null there, as any other may.
    """
    hints = get_type_hints(PreviewRecord)
    hints |= dict.fromkeys(LIST_COLUMNS, Sequence[float | None] | None)
    kinds = {**hints, "ts": datetime}
    return {
        name: (kinds[name], Field(... if _is_known(rule) else None, description=_about(rule)))
        for name, rule in rules_of(PreviewRecord).items()
        if lists or name not in LIST_COLUMNS
    }


def _is_known(rule: FieldRule) -> bool:
    return rule.required or rule.name == "ts"


def _about(rule: FieldRule) -> str:
    """What the field means, as a sentence of the API's description."""
    meaning, unit = rule.about.meaning, rule.about.unit
    return f"{meaning[:1].upper()}{meaning[1:]}{f'; {unit}' if unit else ''}."
