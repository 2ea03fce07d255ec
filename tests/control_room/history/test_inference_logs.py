"""The answers that the daemon trainer logs are followed as previews."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.watch.run_history import RunHistory
from collectors.files.previews import PreviewWatch
from control_room import Recorder, RunDir
from control_room.history import queries
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex
from control_room.importing import import_files
from control_room.logs.patterns import PatternRules
from tests.support import SHARED


def answer(step: int, **more: Any) -> str:
    told = {
        "ts": f"2026-11-24T19:{step // 60:02}:{step % 60:02}.291560",
        "step": step,
        "total_steps": 200_000,
        "epoch": 0,
        "loss": 3.0,
        "lr": 0.0002,
        "current_file": "math_add.jsonl",
        "prompt": f"{step} + 0 = ?",
        "golden": f"🤔🤔🤔🤔\n{step}",
        "model_output": f"🤔🤔🤔🤔\n{step}",
        "matches": step % 2 == 0,
        "golden_output_length": 5,
    }
    return json.dumps(told | more, ensure_ascii=False) + "\n"


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "run")


def log(run: RunDir, *lines: str, day: str = "20261124") -> Path:
    file = run.inference_logs / f"inference_{day}.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as out:
        out.writelines(lines)
    return file


def steps(index: HistoryIndex) -> list[int]:
    while index.refresh().more:
        pass
    query = "SELECT step FROM previews ORDER BY seq"
    return [step for (step,) in index.cursor().execute(query).fetchall()]


def test_they_arrive_on_the_live_page_as_they_are_logged(run: RunDir) -> None:
    watch = PreviewWatch(run, PatternRules())
    assert watch.read().summary.latest is None
    log(run, answer(1), answer(2))
    summary = watch.read().summary
    assert summary.latest is not None and summary.latest.step == 2
    assert summary.by_source["inference log"].count == 2
    log(run, answer(3), "torn")
    assert watch.read().summary.em_last_100.em == pytest.approx(1 / 3)
    log(run, "\n")
    (problem,) = watch.read().problems
    assert "1 line cannot be read" in problem
    assert "inference_20261124.log, line 4" in problem


def test_they_are_rows_of_the_history_with_addresses_of_their_own(run: RunDir) -> None:
    log(run, answer(1), answer(2))
    with HistoryIndex(run, database=run.cache / "history.duckdb") as index:
        assert steps(index) == [1, 2]
    log(run, answer(3))
    log(run, answer(4), day="20261125")
    with HistoryIndex(run, database=run.cache / "history.duckdb") as index:
        assert steps(index) == [1, 2, 3, 4]
        cursor = index.cursor()
        rows = queries.preview_page(cursor, PreviewFilter(), limit=9, offset=0).rows
        assert [row.id for row in rows] == [
            "inference_20261125.1",
            "inference_20261124.3",
            "inference_20261124.2",
            "inference_20261124.1",
        ]
        assert all(queries.preview_by_id(cursor, row.id) == row for row in rows)
        assert {(row.source_pool, row.dataset_id, row.ce) for row in rows} == {
            ("inference log", "math_add", None)
        }


def test_no_metric_comes_of_them(run: RunDir) -> None:
    log(run, answer(1), answer(2))
    with HistoryIndex(run) as index:
        steps(index)
        assert index.cursor().execute("SELECT count(*) FROM metrics").fetchall() == [(0,)]


def test_a_line_that_cannot_be_read_is_named(run: RunDir) -> None:
    log(run, answer(1), "{}\n", answer(2))
    with HistoryIndex(run) as index:
        assert steps(index) == [1, 2]
        rejects = index.cursor().execute("SELECT file, line, reason FROM rejects").fetchall()
    assert rejects == [("inference_20261124.log", 2, "inference log: ts is missing")]


def test_a_log_that_is_gone_takes_its_rows_with_it(run: RunDir) -> None:
    first = log(run, answer(1), answer(2))
    log(run, answer(3), day="20261125")
    with HistoryIndex(run) as index:
        assert steps(index) == [1, 2, 3]
        first.unlink()
        assert steps(index) == [3]


def test_imported_as_well_they_count_once(run: RunDir) -> None:
    file = log(run, answer(1), answer(2))
    list(import_files([file], run))
    with HistoryIndex(run) as index:
        assert steps(index) == [1, 2]
    watch = PreviewWatch(run, PatternRules())
    assert watch.read().summary.em_last_100.count == 2


def test_beside_a_recorder_of_ours_both_are_there(run: RunDir) -> None:
    log(run, answer(1))
    with Recorder(run) as recorder:
        recorder.log_preview(step=7, prompt="p", golden="g", model_answer="a")
    with HistoryIndex(run) as index:
        assert sorted(steps(index)) == [1, 7]


def test_the_app_has_a_history_of_a_run_that_has_nothing_else(run: RunDir) -> None:
    log(run, answer(1))
    history = RunHistory(run, memory_limit_mb=64, rules=PatternRules())
    history.want()
    assert history.refresh().added == 1
    history.close()


@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="needs ../shared/data")
def test_a_real_session_is_read_whole() -> None:
    run = RunDir(SHARED / "data" / "session")
    (file,) = run.inference_logs.glob("inference_*.log")
    with HistoryIndex(run) as index:
        assert len(steps(index)) == len(file.read_text().splitlines())
        assert index.cursor().execute("SELECT count(*) FROM rejects").fetchall() == [(0,)]
