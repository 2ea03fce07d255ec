"""A step that cannot be meant is a reject with a reason, and stretches no axis."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from collectors.files.previews import PreviewWatch
from collectors.files.record_tail import log_tail
from control_room import Recorder, RunDir
from control_room.history import queries
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex
from control_room.history.questions import aggregates
from control_room.logs.patterns import PatternRules
from control_room.logs.step_limit import StepLimit
from control_room.recording.fields import MAX_STEP
from control_room.recording.records import MetricPoint


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "run")


def tell(run: RunDir, status: object) -> None:
    run.status_file.parent.mkdir(parents=True, exist_ok=True)
    run.status_file.write_text(status if isinstance(status, str) else json.dumps(status))


def log(run: RunDir, *steps: int) -> None:
    recorder = Recorder(run)
    for step in steps:
        recorder.log_preview(step=step, prompt="p", golden="g", model_answer="a", exact_match=True)
        recorder.log_metrics(step=step, loss=1.0)
    recorder.close()


def log_raw(run: RunDir, step: int) -> None:
    """What a writer that is no recorder of ours may leave."""
    texts = '"prompt":"p","golden":"g","model_answer":"a",'
    for kind, more in (("preview", texts), ("metrics", "")):
        (file,) = run.logs(kind).glob("*.jsonl")  # type: ignore[arg-type]  # of these two
        with file.open("a") as lines:
            lines.write(f'{{"ts":"2026-03-01T12:00:00Z",{more}"step":{step}}}\n')


def steps(index: HistoryIndex) -> list[int]:
    while index.refresh().more:
        pass
    return [s for (s,) in index.cursor().execute("SELECT step FROM previews ORDER BY 1").fetchall()]


def reasons(index: HistoryIndex) -> list[str]:
    rows = index.cursor().execute("SELECT reason FROM rejects WHERE kind = 'preview'").fetchall()
    return [reason for (reason,) in rows]


@pytest.mark.parametrize("step", [MAX_STEP + 1, 2**63 - 1, 2**63, 10**30])
def test_no_step_is_beyond_a_million_millions(run: RunDir, step: int) -> None:
    log(run, 1, 2)
    log_raw(run, step)
    with HistoryIndex(run) as index:
        assert steps(index) == [1, 2]
        assert "1,000,000,000,000" in reasons(index)[0]
        cursor, every = index.cursor(), PreviewFilter()
        assert aggregates.em_over_steps(cursor, every)[-1].last_step == 2
        assert queries.metric_series(cursor, "loss", points=10).total == 2


def test_beyond_ten_times_the_total_it_is_left_out_with_what_to_do(run: RunDir) -> None:
    tell(run, {"total_steps": 100})
    log(run, 1, 1000, 1001)
    with HistoryIndex(run) as index:
        assert steps(index) == [1, 1000]
        (reason,) = reasons(index)
        assert "step 1,001 is more than ten times total_steps (100)" in reason
        assert "larger total_steps" in reason


def test_it_comes_back_when_the_trainer_tells_a_larger_total(run: RunDir) -> None:
    tell(run, {"total_steps": 100})
    log(run, 1, 5000)
    with HistoryIndex(run, database=run.cache / "history.duckdb") as index:
        assert steps(index) == [1]
        tell(run, {"total_steps": 500, "loss": 1})
        assert steps(index) == [1, 5000]
        assert reasons(index) == []


def test_a_run_that_goes_on_with_less_to_do_keeps_its_past(run: RunDir) -> None:
    """More than a few lines are no mistakes, whether they are followed or read anew."""
    tell(run, {"total_steps": 10_000})
    past = list(range(9_000, 9_050))
    log(run, *past)
    with HistoryIndex(run) as index:
        assert steps(index) == past
        tell(run, {"total_steps": 10})
        log(run, 1, 2)
        assert steps(index) == [1, 2, *past]
    with HistoryIndex(run) as anew:
        assert steps(anew) == [1, 2, *past]
        assert reasons(anew) == []
    assert PreviewWatch(run, PatternRules()).read().summary.unscored == 0


def test_a_total_that_is_told_late_judges_what_is_there(run: RunDir) -> None:
    log(run, 1, 10**11, 2)
    with HistoryIndex(run) as index:
        assert steps(index) == [1, 2, 10**11]
        tell(run, {"total_steps": 1_000})
        assert steps(index) == [1, 2]
        assert len(reasons(index)) == 1
    with HistoryIndex(run) as anew:
        assert steps(anew) == [1, 2]


def test_what_the_run_has_reached_counts_as_well_as_what_it_is_to_reach(run: RunDir) -> None:
    tell(run, {"total_steps": 2_000, "current_step": 100_010})
    log(run, 100_000)
    with HistoryIndex(run) as index:
        assert steps(index) == [100_000]


def test_a_pipe_in_the_place_of_the_status_holds_nobody_up(run: RunDir) -> None:
    run.status_file.parent.mkdir(parents=True)
    os.mkfifo(run.status_file)
    assert StepLimit(run).look() == MAX_STEP


@pytest.mark.parametrize(
    "status",
    ["", "{", "[]", '{"total_steps": "many"}', '{"total_steps": -5}', '{"total_steps": 0}'],
)
def test_a_status_that_tells_no_total_limits_nothing_else(run: RunDir, status: str) -> None:
    tell(run, status)
    assert StepLimit(run).look() == MAX_STEP


def test_the_live_page_leaves_it_out_and_says_so(run: RunDir) -> None:
    tell(run, {"total_steps": 100})
    log(run, 1, 2, 99_999)
    watch = PreviewWatch(run, PatternRules())
    reading = watch.read()
    assert reading.summary.latest is not None and reading.summary.latest.step == 2
    assert any("step 99,999 is more than ten times" in problem for problem in reading.problems)
    points = log_tail(run, "metrics", MetricPoint, 100)
    assert [point.step for point in points.read()[0]] == [1, 2]
    assert any("step 99,999" in problem for problem in points.problems())
