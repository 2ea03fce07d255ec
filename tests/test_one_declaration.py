"""A field of a preview is declared in one file, and so is a filter: all else follows.

A copy of the tree declares more in one of its files. In the copy, whatever shows, keeps, serves or
describes previews has to know of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from control_room import Recorder, RunDir
from control_room.history.index import HistoryIndex
from tests.support import ROOT

RECORDS, FILTERS = "control_room/recording/records.py", "control_room/history/filters.py"
# Before which line of the file, and what.
FIELDS = (
    "    error: str | None = field(\n",
    """\
    kindness: float | None = field(
        default=None,
        metadata=described(
            "how kind it is", unit="points", low=0.0, high=1.0, column=75, heading="Kind",
            imported_as={INFERENCE_LOG: "kindness_score"},
        ),
    )
    mood: str | None = field(default=None, metadata=described("in what mood", null=True))
    judges: Mapping[str, bool] | None = field(default=None, metadata=described("who agrees"))
    rationale: str | None = field(default=None, metadata=described("why", is_text=True))
""",
)
MORE_FILTERS = (
    "    example_id: str | None = field(",
    """\
    host: str | None = field(default=None, metadata=asked_by("choice", is_more=True))
    most_tokens: int | None = field(
        default=None,
        metadata=asked_by(
            "text", condition="model_tokens <= ?", label="Answer up to, tokens", is_more=True
        ),
    )
""",
)


def copy_that_declares_more(target: Path, file: str, before: str, declared: str) -> Path:
    """A copy of the tree with one file of it changed."""
    for name in ("control_room", "collectors", "app", "pages", "tests", "docs", ".streamlit"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, target / name, ignore=ignored)
    text = (target / file).read_text(encoding="utf-8")
    assert text.count(before) == 1
    (target / file).write_text(text.replace(before, declared + before), encoding="utf-8")
    return target


def run_in(tree: Path, *arguments: str) -> None:
    """Run Python where only the copy can be imported."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, *arguments],
        check=False,
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4_000:]


@pytest.mark.parametrize(
    ("what", "file", "declared"), [("field", RECORDS, FIELDS), ("filter", FILTERS, MORE_FILTERS)]
)
def test_what_one_file_declares_is_everywhere(
    tmp_path: Path, what: str, file: str, declared: tuple[str, str]
) -> None:
    tree = copy_that_declares_more(tmp_path / "tree", file, *declared)
    run_in(tree, "-m", "tests.extra_declarations", what)


def test_an_index_without_a_new_column_is_rebuilt_and_not_called_damaged(tmp_path: Path) -> None:
    tree = copy_that_declares_more(tmp_path / "tree", RECORDS, *FIELDS)
    run, database = RunDir(tmp_path / "run"), tmp_path / "history.duckdb"
    with Recorder(run) as recorder:
        recorder.log_preview(step=1, prompt="p", golden="g", model_answer="a")
    with HistoryIndex(run, database=database) as index:
        index.refresh()
    code = f"""
from pathlib import Path
from control_room import RunDir
from control_room.history.index import HistoryIndex
with HistoryIndex(RunDir(Path({str(run.path)!r})), database=Path({str(database)!r})) as index:
    assert index.damage is None, index.damage
    found = index.refresh()
    assert found.problems == () and found.added == 1, found
    rows = index.cursor().execute("SELECT step, kindness FROM previews").fetchall()
    assert rows == [(1, None)], rows
"""
    run_in(tree, "-c", code)
