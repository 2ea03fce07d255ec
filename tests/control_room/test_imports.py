"""Importing control_room must not burden a training environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
MODULES = ("control_room", "control_room.judging.scoring")


@pytest.mark.parametrize("module", MODULES)
def test_only_the_standard_library_is_imported(module: str) -> None:
    assert {name.partition(".")[0] for name in _imported_by(module)} - {"control_room"} <= set(
        sys.stdlib_module_names
    )


def test_nothing_heavy_comes_with_it() -> None:
    heavy = {"asyncio", "concurrent", "http", "logging", "multiprocessing", "socket", "sqlite3"}
    heavy |= {"ssl", "subprocess", "tempfile", "email", "difflib", "unittest"}
    assert not heavy & set(_imported_by("control_room"))


def test_the_history_is_not_imported() -> None:
    assert not [name for name in _imported_by("control_room") if "history" in name]


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
