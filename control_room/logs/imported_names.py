"""What other systems' files call the fields of a preview, as its record declares it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from control_room.recording.fields import rules_of
from control_room.recording.records import PreviewRecord


def fields_in(kind: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a preview that an item of a file of this kind has, by our names.

    Raises ``KeyError`` for what a preview needs and the item lacks.
    """
    names = _NAMES[kind].items()
    return {ours: item[name] if needed else item.get(name) for ours, (name, needed) in names}


def names_in(kind: str) -> frozenset[str]:
    """What such an item calls the fields that are taken from it."""
    return frozenset(name for name, _ in _NAMES[kind].values())


def _names() -> dict[str, dict[str, tuple[str, bool]]]:
    """By kind of file and field of the record: its name there, and whether it has to be there."""
    names: dict[str, dict[str, tuple[str, bool]]] = {}
    for ours, rule in rules_of(PreviewRecord).items():
        for kind, name in rule.about.imported_as.items():
            names.setdefault(kind, {})[ours] = (name, rule.required)
    return names


_NAMES = _names()
