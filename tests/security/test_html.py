"""Only HTML that is known to be escaped comes onto a page: one function draws it, of one type."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

from tests.support import ROOT

MAKES_HTML = "app/text/html.py"
DRAWS_HTML = "app/cards/draw_html.py"
# The style sheet: a file of ours, named by its path.
ALSO_DRAWN = {("app/ui/main.py", "st.html(STYLE)")}
SOURCES = sorted((*(ROOT / "app").rglob("*.py"), *(ROOT / "pages").rglob("*.py")))


def drawn_by_itself(tree: ast.AST, cards: set[str]) -> Iterator[str]:
    """Calls that bring HTML onto a page; a card has a function of that name as well."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        marked = any(keyword.arg == "unsafe_allow_html" for keyword in call.keywords)
        if marked or (_is_named_html(call.func) and ast.unparse(call.func.value) not in cards):
            yield ast.unparse(call)


def _is_named_html(function: ast.expr) -> TypeGuard[ast.Attribute]:
    return isinstance(function, ast.Attribute) and function.attr == "html"


def declared_safe(tree: ast.AST) -> Iterator[str]:
    """Calls that say of a text that it is HTML, where that is not written out in place."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        name = ast.unparse(call.func).rpartition(".")[2]
        if name == "Markup" or (name == "fill" and not _is_written_out(call.args[0])):
            yield ast.unparse(call)


def _is_written_out(template: ast.expr) -> bool:
    if isinstance(template, ast.IfExp):
        return _is_written_out(template.body) and _is_written_out(template.orelse)
    return isinstance(template, ast.Constant) and isinstance(template.value, str)


def cards_of(tree: ast.AST) -> set[str]:
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "app.cards"
        for alias in node.names
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_html_is_drawn_by_one_function(path: Path) -> None:
    file, tree = path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())
    calls = {(file, call) for call in drawn_by_itself(tree, cards_of(tree))}
    assert file == DRAWS_HTML or calls <= ALSO_DRAWN


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_text_is_made_html_in_one_place(path: Path) -> None:
    if path.relative_to(ROOT).as_posix() != MAKES_HTML:
        assert list(declared_safe(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize(
    "line",
    [
        "st.html(told)",
        "bar.html('<b>ours</b>')",
        "st.markdown(told, unsafe_allow_html=True)",
        "draw_html(Markup(told))",
        "draw_html(markupsafe.Markup(told))",
        "fill(told)",
        "fill(f'<b>{told}</b>')",
        "fill('<b>' + told)",
        "fill('<b>{}</b>' if bold else told, name)",
    ],
)
def test_the_rules_see_what_breaks_them(line: str) -> None:
    tree = ast.parse(line)
    assert [*drawn_by_itself(tree, set()), *declared_safe(tree)]


def test_mypy_takes_html_and_refuses_text() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "tests/security/typed_html.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
