"""The locked versions are those that the requirements ask for, and nothing else stands there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import ROOT

LOCK = ROOT / "requirements-dev.lock"


def requirements(file: Path) -> Iterator[Requirement]:
    """Those of a file, and of the files that it names."""
    for line in file.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            yield from requirements(file.parent / text[3:])
        elif text:
            yield Requirement(text)


def locked() -> dict[str, list[str]]:
    """The versions of each name; several where they depend on the Python."""
    versions: dict[str, list[str]] = {}
    for requirement in requirements(LOCK):
        (pin,) = requirement.specifier
        assert pin.operator == "==", str(requirement)
        versions.setdefault(canonicalize_name(requirement.name), []).append(pin.version)
    return versions


def test_the_lock_is_current() -> None:
    versions = locked()
    for wanted in requirements(ROOT / "requirements-dev.txt"):
        pinned = versions.get(canonicalize_name(wanted.name))
        assert pinned is not None, f"{wanted.name} is not locked: run make lock"
        for version in pinned:
            assert wanted.specifier.contains(version), f"{wanted} is locked at {version}: make lock"


def test_no_requirement_names_a_place_to_take_it_from() -> None:
    for file in (*ROOT.glob("requirements*"), ROOT / "examples" / "requirements.txt"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"://|--(index|extra-index|find-links|trusted)|@ ", text), file.name
