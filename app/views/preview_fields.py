"""The fields of the preview record as those of a pydantic model: the record alone lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields
from datetime import datetime
from typing import Any, get_type_hints

from control_room.history.queries import LIST_COLUMNS
from control_room.recording.records import PreviewRecord


def preview_fields(*, lists: bool) -> dict[str, tuple[Any, Any]]:
    """Type and default of each field; those that are lists of numbers only with ``lists``.

    What may be unknown is None by default; ``ts`` is known of whatever was logged. JSON has no NaN
    and no infinity, so a number in a list may be null there, as any other may.
    """
    hints = get_type_hints(PreviewRecord)
    hints |= dict.fromkeys(LIST_COLUMNS, Sequence[float | None] | None)
    found: dict[str, tuple[Any, Any]] = {
        field.name: (hints[field.name], ... if field.default is MISSING else field.default)
        for field in fields(PreviewRecord)
        if lists or field.name not in LIST_COLUMNS
    }
    return {**found, "ts": (datetime, ...)}
