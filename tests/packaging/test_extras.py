"""The extras that pip installs and the requirements of a checkout name the same packages."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.support import ROOT

EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]


def listed(path: Path) -> set[str]:
    """The requirements in a file, without comments."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return set(filter(None, lines))


def brought_by(extra: str) -> Iterator[str]:
    """The requirements of an extra, with those of the extras that it names."""
    for requirement in EXTRAS[extra]:
        named = re.fullmatch(r"control-room\[(.*)\]", requirement)
        if named is None:
            yield requirement
        for inner in named[1].split(",") if named else ():
            yield from brought_by(inner)


def test_the_app_needs_what_a_checkout_installs_for_it() -> None:
    assert set(brought_by("app")) == listed(ROOT / "requirements.txt")


def test_the_demo_needs_the_app_and_what_a_checkout_installs_for_it() -> None:
    requirements = listed(ROOT / "requirements.txt") | listed(ROOT / "examples/requirements.txt")
    assert set(brought_by("demo")) == requirements


def test_the_app_brings_what_the_history_needs() -> None:
    assert set(brought_by("history")) <= set(brought_by("app"))
