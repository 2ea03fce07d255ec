"""Loads what an extra of the distribution brings, where it is used."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import Any


class MissingExtra(ImportError):
    """A package of an extra is not installed. The message says how to install it."""


def load_extra(module: str, *, extra: str = "history") -> Any:
    """The module called ``module``. Raises :class:`MissingExtra`."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = str(error.name or module).partition(".")[0]
        raise MissingExtra(_missing(package, extra)) from None


def need(modules: Iterable[str], *, extra: str) -> None:
    """Raises :class:`MissingExtra` where one is not installed; loads none."""
    for module in modules:
        if find_spec(module) is None:
            raise MissingExtra(_missing(module, extra))


def _missing(package: str, extra: str) -> str:
    return f"{package} is missing: install it with `pip install 'control-room[{extra}]'`"
