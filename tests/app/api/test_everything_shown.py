"""The API has everything the pages show: whatever they ask the history, an endpoint asks too."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

from fastapi.routing import APIRoute

from app.api import create_api
from app.settings import Settings
from app.watch.monitor import Monitor
from control_room.client import Client
from tests.support import ROOT

QUESTIONS = "control_room.history.questions"


def questions_of(sources: Iterable[Path]) -> set[str]:
    """The functions, and the classes that ask, of the questions that these files name."""
    return {question for source in sources for question in _questions(source)}


def _questions(source: Path) -> Iterator[str]:
    tree = ast.parse(source.read_text())
    modules: dict[str, ModuleType] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith(QUESTIONS):
            continue
        for alias in node.names:
            if node.module == QUESTIONS:
                modules[alias.asname or alias.name] = import_module(f"{QUESTIONS}.{alias.name}")
            elif _asks(getattr(import_module(str(node.module)), alias.name)):
                yield f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = modules.get(node.value.id)
            if module is not None and _asks(getattr(module, node.attr)):
                yield f"{module.__name__}.{node.attr}"


def _asks(value: object) -> bool:
    """Whether it takes a cursor, or holds two sides that have one."""
    if inspect.isfunction(value):
        return "cursor" in inspect.signature(value).parameters
    return inspect.isclass(value) and any(
        "Side" in str(parameter.annotation)
        for parameter in inspect.signature(value).parameters.values()
    )


def test_every_question_of_a_page_has_an_endpoint() -> None:
    shown = questions_of([*(ROOT / "pages").glob("*.py"), *(ROOT / "app" / "ui").glob("*.py")])
    answered = questions_of((ROOT / "app" / "api").glob("*.py"))
    assert len(shown) >= 20
    assert f"{QUESTIONS}.comparison.PairOfSides" in shown
    assert sorted(shown - answered) == []


def test_every_answer_in_json_has_a_method_of_the_client() -> None:
    description = create_api(Monitor(Settings())).openapi()
    names = {
        operation["summary"].lower().replace(" ", "_")
        for methods in description["paths"].values()
        for operation in methods.values()
        if "$ref" in str(operation["responses"]["200"].get("content", {}).get("application/json"))
    }
    assert {"compare", "drift", "reliability", "evaluations", "heads", "notes", "runs"} <= names
    assert sorted(name for name in names if not callable(getattr(Client, name, None))) == []


def test_no_two_answers_share_a_name() -> None:
    schemas = create_api(Monitor(Settings())).openapi()["components"]["schemas"]
    assert [name for name in schemas if "__" in name] == []


def test_no_address_hides_another() -> None:
    description = create_api(Monitor(Settings())).openapi()
    patterns = {
        path: APIRoute(path, lambda: None, methods=["GET"]).path_regex
        for path in description["paths"]
    }
    for place, path in enumerate(patterns):
        before = list(patterns)[:place]
        assert not [other for other in before if patterns[other].fullmatch(path)], path
