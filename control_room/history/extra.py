"""Loads what the ``history`` extra brings."""

from __future__ import annotations

from typing import Any

from control_room.extra import MissingExtra, load_extra

__all__ = ["MissingExtra", "extra"]


def extra(name: str) -> Any:
    """The module called ``name``. Raises :class:`MissingExtra` saying how to install it."""
    return load_extra(name, extra="history")
