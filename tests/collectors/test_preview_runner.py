"""What the preview runner says of itself, read by the app."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from collectors.jobs import JobQueue
from collectors.preview_runner import RoundReading, RunnerReading, RunnerWatch
from control_room.rundir import RunDir

STATE = {
    "updated_at": 1000.0,
    "hostname": "box",
    "pending": {"preview": 2, "request": 1},
    "round": {"kind": "eval", "checkpoint": "c1", "answered": 3, "total": 9, "errors": 1},
    "last_round": {
        "kind": "preview",
        "checkpoint": "c0",
        "outcome": "failed",
        "reason": "no such model",
    },
    "answers_per_sec": 2.5,
    "last_latency_ms": 120.0,
    "skipped": 4,
    "failed": 1,
    "problems": ["line 3"],
}


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    (tmp_path / "status").mkdir()
    return RunDir(tmp_path)


def test_without_a_runner_there_is_nothing(run: RunDir) -> None:
    reading = RunnerWatch(run).read()
    assert reading == RunnerReading()
    assert reading.jobs() == ()


def test_its_state_is_read_and_rounds_are_jobs(run: RunDir) -> None:
    run.runner_state_file.write_text(json.dumps(STATE))
    reading = RunnerWatch(run).read()
    assert reading.round == RoundReading(
        kind="eval", checkpoint="c1", answered=3, total=9, errors=1
    )
    assert reading.last_round is not None and reading.last_round.reason == "no such model"
    assert (reading.skipped, reading.failed, reading.problems) == (4, 1, ("line 3",))
    assert reading.jobs() == (
        JobQueue(kind="eval", pending=0, running=1),
        JobQueue(kind="preview", pending=2, running=0, last_latency_ms=120),
        JobQueue(kind="request", pending=1, running=0),
    )


@pytest.mark.parametrize("text", ["", "[1]", '{"round": [], "pending": {"a": "x"}', "{}"])
def test_what_cannot_be_read_leaves_what_was_known(run: RunDir, text: str) -> None:
    run.runner_state_file.write_text(json.dumps(STATE))
    watch = RunnerWatch(run)
    watch.read()
    run.runner_state_file.write_text(text)
    reading = watch.read()
    assert reading.updated_at in (1000.0, None)


def test_values_of_a_wrong_kind_are_none(run: RunDir) -> None:
    wrong = {key: [None] for key in STATE} | {"pending": {"a": -1, "b": True}, "round": {"kind": 1}}
    run.runner_state_file.write_text(json.dumps(wrong))
    reading = RunnerWatch(run).read()
    assert (reading.updated_at, reading.round, reading.pending) == (None, None, {})
