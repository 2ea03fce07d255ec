"""Loads what the ``history`` extra brings, where it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class MissingExtra(ImportError):
    """A package of the ``history`` extra is not installed."""


def extra(name: str) -> Any:
    """The module called ``name``. Raises :class:`MissingExtra` saying how to install it."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        package = name.partition(".")[0]
        raise MissingExtra(
            f"the history needs {package}: install it with `pip install control-room[history]`"
        ) from None
