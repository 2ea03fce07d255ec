"""SECURITY.md names tests that there are."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support import ROOT

HERE = ROOT / "tests" / "security"
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = [row for row in TEXT.splitlines() if row.startswith("| ") and "test_" in row]


def names_in(file: str) -> set[str]:
    tree = ast.parse((HERE / file).read_text(encoding="utf-8"))
    return {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }


def named(row: str) -> list[tuple[str, str]]:
    """Files and tests; one without a file is of the file before it."""
    found, file = [], ""
    for told in re.findall(r"`((?:test_\w+\.py)?(?:::\w+)?)`", row.rsplit("|", 2)[1]):
        at, _, test = told.partition("::")
        file = at or file
        found.append((file, test))
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:40])
def test_each_boundary_is_held_by_tests_that_exist(row: str) -> None:
    tests = named(row)
    assert tests
    for file, test in tests:
        assert (HERE / file).is_file(), file
        assert not test or test in names_in(file), f"{file}::{test}"


def test_every_attack_is_of_some_boundary() -> None:
    told = {file for row in ROWS for file, _ in named(row)}
    assert told == {file.name for file in HERE.glob("test_*.py")} - {"test_security_md.py"}
