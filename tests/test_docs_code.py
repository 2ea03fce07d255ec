"""The code in the documents works: it is run, loaded, or asked for by name."""

from __future__ import annotations

import ast
import re
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings, load_settings
from control_room import Recorder, RunDir
from control_room.history.index import HistoryIndex
from control_room.previews.config import load_config
from control_room.previews.examples import ExampleSource, parse_example
from control_room.recording.recorder_warning import RecorderWarning
from tests import project
from tests.documents import Piece, blocks, pieces
from tests.support import ROOT, serving_app

# A block that says so in a comment of its own is read, not run: the library is large, or a model.
NEEDS = re.compile(r"^# needs (transformers|accelerate|lightning)$", re.M)
MOST_UNRUN = 5
LANGUAGES = {"python", "toml", "sh", "json", "text"}


def of_one_document(piece: Piece) -> str:
    return f"{piece.document.relative_to(ROOT)}:{piece.line}"


def runnable() -> list[Piece]:
    """All others but whole pages, which tests/pages opens."""
    return [
        piece
        for piece in blocks("python")
        if NEEDS.search(piece.text) is None and "\nPAGE = Page(" not in piece.text
    ]


def unrun() -> list[Piece]:
    return [piece for piece in blocks("python") if NEEDS.search(piece.text) is not None]


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the blocks take for granted: data, a model, a history. They run in ``tmp_path``."""
    monkeypatch.chdir(tmp_path)
    with Recorder("runs/my-run") as recorder:
        recorder.log_preview(
            step=1, prompt="p", golden="g", model_answer="g", exact_match=True, regime="plain_sft"
        )
    with HistoryIndex(RunDir(tmp_path / "runs" / "my-run")) as index:
        while index.refresh().more:
            pass
        yield {
            "batches": [1.0] * 100,
            "loader": [1.0] * 3,
            "train_step": lambda batch: batch / 2,
            "lr": 1e-3,
            "example": {"prompt": "2 + 2?", "golden": "4"},
            "generate": lambda prompt: "4",
            "index": index,
        }


@pytest.mark.parametrize("piece", runnable(), ids=of_one_document)
def test_python_runs(piece: Piece, names: dict[str, Any], tmp_path: Path) -> None:
    address = "http://127.0.0.1:8501"
    warnings.simplefilter("error", RecorderWarning)  # a field that is refused
    if address not in piece.text:
        exec(compile(piece.text, str(piece), "exec"), names)
        return
    with serving_app(tmp_path / "runs" / "my-run", tmp_path / "app.log") as served:
        exec(compile(piece.text.replace(address, served), str(piece), "exec"), names)


@pytest.mark.parametrize("piece", unrun(), ids=of_one_document)
def test_python_that_needs_a_large_library_names_what_there_is(piece: Piece) -> None:
    tree = ast.parse(piece.text)
    ours = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and "control_room" in node.module
        for alias in node.names
    }
    assert ours
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if isinstance(call.func, ast.Name) and call.func.id in ours:
            known = parameters(ours[call.func.id], call.func.id)
            assert {keyword.arg for keyword in call.keywords} <= known, call.func.id
    for name, module in ours.items():
        assert parameters(module, name), f"{module}.{name}"


def test_few_blocks_are_not_run() -> None:
    assert len(unrun()) <= MOST_UNRUN


def test_every_block_is_in_a_language_that_is_tried() -> None:
    assert {piece.language for piece in pieces() if piece.language} <= LANGUAGES


@pytest.mark.parametrize("piece", blocks("toml"), ids=of_one_document)
def test_settings_load(piece: Piece, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    told = tomllib.loads(piece.text)
    if set(told) <= set(Settings.model_fields):
        (tmp_path / "control_room.toml").write_text(piece.text)
        load_settings(working_dir=tmp_path)
        return
    least = "" if "server" in told else '[server]\nurl = "http://127.0.0.1:1"\n'
    least += "" if "examples" in told else '[[examples]]\nfile = "x.jsonl"\n'
    (tmp_path / "previews.toml").write_text(piece.text + "\n" + least)
    load_config(tmp_path / "previews.toml")


@pytest.mark.parametrize("piece", blocks("json"), ids=of_one_document)
def test_examples_are_examples(piece: Piece) -> None:
    for line in piece.text.splitlines():
        assert parse_example(line.encode(), ExampleSource(file=Path("x.jsonl")), 1).golden


@pytest.mark.parametrize("piece", blocks("sh"), ids=of_one_document)
def test_commands_exist(piece: Piece) -> None:
    for line in piece.text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            assert project.wrong_in_command(line) is None, f"{piece}: {line}"


def parameters(module: str, name: str) -> set[str | None]:
    """Of a class's constructor or of a function, by its source alone: nothing is imported."""
    source = (ROOT / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
                    return {each.arg for each in (*inner.args.args, *inner.args.kwonlyargs)}
            return {"self"}
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return {each.arg for each in (*node.args.args, *node.args.kwonlyargs)}
    return set()
