"""Loads what an extra of the distribution brings, where it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class MissingExtra(ImportError):
    """A package of an extra is not installed. The message says how to install it."""


def load_extra(module: str, *, extra: str = "history") -> Any:
    """The module called ``module``. Raises :class:`MissingExtra`."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = str(error.name or module).partition(".")[0]
        raise MissingExtra(
            f"{package} is missing: install it with `pip install control-room[{extra}]`"
        ) from None
