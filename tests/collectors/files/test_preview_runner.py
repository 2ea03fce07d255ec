"""What the preview runner says of itself, read by the app."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from collectors.files.preview_runner import RoundReading, RunnerReading, RunnerWatch
from collectors.jobs import JobQueue
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


def put(run: RunDir, text: str) -> None:
    """As it lies there when nobody has written it for a while."""
    run.runner_state_file.write_text(text)
    os.utime(run.runner_state_file, (900, 900))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "is empty"),
        ("[1]", "a JSON array"),
        ('{"round": [], "pending": {"a": "x"}', "not complete JSON"),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_a_malformed_file_is_named_with_what_to_do_and_leaves_what_was_known(
    run: RunDir, text: str, word: str, known: bool
) -> None:
    watch = RunnerWatch(run)
    if known:
        put(run, json.dumps(STATE))
        assert watch.read().problem is None
    put(run, text)
    reading = watch.read()
    assert reading.updated_at == (1000.0 if known else None)
    assert str(run.runner_state_file) in str(reading.problem)
    assert word in str(reading.problem)
    assert "start the preview runner again" in str(reading.problem)
    put(run, json.dumps(STATE))
    assert watch.read().problem is None


def test_values_of_a_wrong_kind_are_left_out_and_named(run: RunDir) -> None:
    wrong = STATE | {
        "hostname": 5,
        "pending": {"preview": 2, "a": -1},
        "round": {"kind": 1},
        "last_round": STATE["last_round"] | {"answered": "many"},  # type: ignore[operator]  # a dict
        "failed": True,
    }
    put(run, json.dumps(wrong))
    reading = RunnerWatch(run).read()
    assert (reading.updated_at, reading.skipped) == (1000.0, 4), "the rest is used"
    assert (reading.hostname, reading.pending, reading.round) == (None, {"preview": 2}, None)
    assert reading.last_round is not None and reading.last_round.outcome == "failed"
    assert str(run.runner_state_file) in str(reading.problem)
    assert "hostname, pending.a, round, last_round.answered, failed" in str(reading.problem)


def test_a_file_that_does_not_say_when_it_was_written_is_no_state(run: RunDir) -> None:
    put(run, "{}")
    assert "updated_at" in str(RunnerWatch(run).read().problem)
