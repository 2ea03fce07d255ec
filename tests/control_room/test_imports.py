"""Importing control_room must not burden a training environment."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import control_room

REPOSITORY = Path(__file__).parents[2]
MODULES = ("control_room", "control_room.recording.recorder", "control_room.judging.scoring")


@pytest.mark.parametrize("module", MODULES)
def test_only_the_standard_library_is_imported(module: str) -> None:
    assert {name.partition(".")[0] for name in _imported_by(module)} - {"control_room"} <= set(
        sys.stdlib_module_names
    )


def test_nothing_heavy_comes_with_it() -> None:
    heavy = {"asyncio", "concurrent", "http", "logging", "multiprocessing", "socket", "sqlite3"}
    heavy |= {"ssl", "subprocess", "tempfile", "email", "difflib", "unittest"}
    heavy |= {"base64", "control_room.security.address", "control_room.security.inside"}
    assert not heavy & set(_imported_by("control_room.recording.recorder"))


def test_the_package_alone_loads_next_to_nothing() -> None:
    assert set(_imported_by("control_room")) == {"control_room"}


def test_the_history_is_not_imported() -> None:
    assert not [name for name in _imported_by("control_room.recording.recorder") if "hist" in name]


def test_what_the_package_offers_is_what_editors_see() -> None:
    tree = ast.parse(Path(control_room.__file__).read_text())
    seen = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and "control_room" in node.module
        for alias in node.names
    }
    assert sorted(seen) == control_room.__all__
    for name, module in seen.items():
        assert getattr(control_room, name) is getattr(import_module(module), name)
    assert set(dir(control_room)) >= set(seen)


def test_a_name_that_the_package_has_not_is_refused() -> None:
    with pytest.raises(AttributeError, match="'control_room' has no attribute 'Recoder'"):
        _ = control_room.Recoder  # type: ignore[attr-defined]  # a slip, as a trainer may have it


def _imported_by(module: str) -> list[str]:
    """The modules that importing this one adds in a bare interpreter without site-packages."""
    code = (
        "import sys, json; before = set(sys.modules); "
        f"import {module}; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    imported = json.loads(done.stdout)
    assert isinstance(imported, list)
    return imported
