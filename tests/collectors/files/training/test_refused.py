"""What a Recorder refused is told on the live page, from the status file and from its log."""

# What a type checker refuses is what is tested here.
# mypy: disable-error-code="call-overload,call-arg,list-item"

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.files.training import TrainingWatch
from collectors.files.training.status_file import parse_status
from control_room import Recorder, RunDir
from tests.collectors.files.training.trainer_stand_in import START, TrainerStandIn, stamp

DAY_S = 86_400.0


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "my-run")


@pytest.fixture(autouse=True)
def hushed() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def told(watch: TrainingWatch, now: float) -> list[str]:
    """The problems that are of refused records."""
    return [problem for problem in watch.read(now).problems if "refused" in problem]


def test_a_run_that_refuses_nothing_says_nothing(run: RunDir) -> None:
    Recorder(run, clock=Clock(START)).update_status(current_step=1)
    assert told(TrainingWatch(run), START) == []


def test_the_count_the_newest_reason_and_where_they_are_kept(run: RunDir) -> None:
    clock = Clock(START)
    recorder = Recorder(run, clock=clock)
    recorder.update_status(current_step=1)
    recorder.log_preview(step=1, prompt="p", golden="g", model_answer="a", exact_match="yes")
    for step in range(11):
        recorder.log_metrics(step=step, loss="low")
    clock.now += 1
    recorder.update_status(current_step=12, phase="sleeping")  # type: ignore[arg-type]  # meant
    (problem,) = told(TrainingWatch(run), START + 1)
    assert "13 records were refused (11 metrics, 1 preview, 1 status)" in problem
    assert "phase: expected one of training" in problem and "'sleeping'" in problem
    assert str(run.logs("refused")) in problem
    assert "strict=True" in problem


def test_one_is_one(run: RunDir) -> None:
    recorder = Recorder(run, clock=Clock(START))
    recorder.log_metrics(step="one")
    (problem,) = told(TrainingWatch(run), START)
    assert problem.startswith("1 record was refused (1 metrics). The newest: MetricPoint.step")


def test_what_a_recorder_without_a_status_refuses_is_told_from_its_log(run: RunDir) -> None:
    recorder = Recorder(run, clock=Clock(START))
    watch = TrainingWatch(run)
    assert told(watch, START) == []
    recorder.log_metrics(step="one")
    assert "MetricPoint.step" in told(watch, START + 1)[0]
    recorder.log_metrics(step=2, loss="two")
    (problem,) = told(watch, START + 2)
    assert "2 records" in problem and "MetricPoint.loss" in problem


def test_the_counts_of_two_processes_are_not_added_to_those_of_the_status_twice(
    run: RunDir,
) -> None:
    trainer = Recorder(run, clock=Clock(START))
    trainer.update_status(current_step=1)
    trainer.log_metrics(step="one")
    trainer.log_metrics(step="two")
    trainer.update_status(current_step=2)
    other = Recorder(run, clock=Clock(START + 1))
    other.log_eval(step="one", kind="fixed")
    (problem,) = told(TrainingWatch(run), START + 2)
    assert "3 records were refused (2 metrics, 1 eval)" in problem
    assert "EvalRecord.step" in problem


def test_the_status_counts_what_a_full_log_does_not_hold(run: RunDir) -> None:
    stand_in = TrainerStandIn(run.path, {"pid": 1, "started_at": stamp(START - 10)})
    refused = {"counts": {"metrics": 5000}, "reason": "loss: expected a number", "ts": stamp(START)}
    stand_in.status(START, status="paused", current_step=1, recorder_refused=refused)
    stand_in.log("refused", START - 5, kind="metrics", reason="older", left_out=3)
    (problem,) = told(TrainingWatch(run), START)
    assert "5,000 records were refused (5,000 metrics)" in problem
    assert "loss: expected a number" in problem and "older" not in problem


def test_lines_that_were_left_out_of_the_log_count(run: RunDir) -> None:
    stand_in = TrainerStandIn(run.path)
    stand_in.log("refused", START, kind="metrics", reason="r")
    stand_in.log("refused", START, kind="metrics", reason="r", left_out=998)
    assert "1,000 records were refused" in told(TrainingWatch(run), START)[0]


def test_what_was_refused_before_the_trainer_was_started_anew_is_history(run: RunDir) -> None:
    Recorder(run, clock=Clock(START)).log_metrics(step="one")
    watch = TrainingWatch(run)
    assert told(watch, START)
    Recorder(run, clock=Clock(START + 60)).update_status(current_step=1)
    assert told(watch, START + 60) == []


def test_without_a_status_what_was_refused_a_day_ago_is_history(run: RunDir) -> None:
    Recorder(run, clock=Clock(START)).log_metrics(step="one")
    watch = TrainingWatch(run)
    assert told(watch, START + DAY_S - 60)
    assert told(watch, START + DAY_S + 60) == []
    assert told(TrainingWatch(run), START + DAY_S + 60) == []


def test_a_refused_record_is_a_sign_of_life(run: RunDir) -> None:
    clock = Clock(START)
    recorder = Recorder(run, clock=clock)
    recorder.update_status(current_step=1, total_steps=10)
    watch = TrainingWatch(run)
    watch.read(START)
    clock.now = START + 100
    recorder.log_metrics(step="two")
    assert watch.read(START + 100).liveness.silent_s == 0


@pytest.mark.parametrize(
    "bad",
    ["many", 5, [], {}, {"counts": 5}, {"counts": {"metrics": "many"}}, {"reason": 5, "ts": "x"}],
)
def test_what_the_status_says_in_another_form_is_named_and_stops_nothing(bad: object) -> None:
    write = parse_status({"status": "training", "current_step": 1, "recorder_refused": bad})
    assert write.values["current_step"] == 1 and write.refused is None
    assert "recorder_refused" in write.problems[0]


def test_a_line_that_cannot_be_read_is_named(run: RunDir) -> None:
    TrainerStandIn(run.path).log_raw("refused", START, '{"ts": "now"}\n')
    (problem,) = told(TrainingWatch(run), START)
    assert "cannot be read" in problem
