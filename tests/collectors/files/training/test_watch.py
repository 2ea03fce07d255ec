import json
import math
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.files.training import TrainingReading, TrainingWatch
from control_room import Recorder
from control_room.recording.records import MetricPoint
from control_room.rundir import LogKind, RunDir
from tests.collectors.files.training.trainer_stand_in import START, TrainerStandIn, metric
from tests.support import wait_until

OWN = {"run_id": "my-run", "pid": 4_000_000, "hostname": "another-box", "started_at": START}


@pytest.fixture
def trainer(tmp_path: Path) -> TrainerStandIn:
    return TrainerStandIn(tmp_path / "some-run")


@pytest.fixture
def recorder(tmp_path: Path) -> TrainerStandIn:
    return TrainerStandIn(tmp_path / "some-run", own=dict(OWN))


def read(trainer: TrainerStandIn, now: float = START) -> TrainingReading:
    return TrainingWatch(trainer.run).read(now)


# Last known values


def test_a_field_that_a_write_leaves_out_keeps_its_last_value_and_its_age(
    trainer: TrainerStandIn,
) -> None:
    watch = TrainingWatch(trainer.run)
    trainer.status(START, status="training", loss=0.5, tokens_per_sec=2450.0)
    watch.read(START)
    trainer.status(START + 10, status="training", loss=0.4, tokens_per_sec=None)
    reading = watch.read(START + 12)
    assert (reading.loss, reading.tokens_per_sec) == (0.4, 2450.0)
    assert reading.age_s("tokens_per_sec", START + 12) == 12
    assert reading.age_s("loss", START + 12) == 2
    assert reading.age_s("grad_norm", START + 12) is None


def test_an_end_that_zeroes_step_and_loss_is_no_news_of_them(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    trainer.status(START, status="training", current_step=1500, total_steps=2000, loss=0.5)
    watch.read(START)
    trainer.status(START + 1, status="crashed", current_step=0, loss=0.0, error_message="OOM")
    reading = watch.read(START + 1)
    assert (reading.status, reading.current_step, reading.loss) == ("crashed", 1500, 0.5)
    assert reading.error_message == "OOM"
    assert reading.liveness.state == "ended"
    assert reading.segment_count == 1


def test_an_error_is_over_when_the_run_goes_on(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    trainer.status(START, status="crashed", error_message="OOM", error_type="OOM")
    watch.read(START)
    trainer.status(START + 60, status="training", current_step=1)
    assert watch.read(START + 60).error_message is None


def test_the_counts_of_one_file_do_not_outlive_it(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    trainer.status(START, status="training", current_file="a.jsonl", batch_step=9, batch_number=1)
    watch.read(START)
    trainer.status(START + 1, status="training", current_file="b.jsonl")
    reading = watch.read(START + 1)
    assert (reading.current_file, reading.batch_step, reading.batch_number) == (
        "b.jsonl",
        None,
        None,
    )


def test_what_the_recorder_merely_repeats_is_not_news(recorder: TrainerStandIn) -> None:
    watch = TrainingWatch(recorder.run)
    recorder.status(START, status="training", current_step=10, val_loss=0.9)
    watch.read(START)
    recorder.status(START + 30, current_step=20)
    reading = watch.read(START + 30)
    assert reading.val_loss == 0.9
    assert reading.age_s("val_loss", START + 30) == 30
    assert reading.age_s("current_step", START + 30) == 0


def test_what_the_recorder_takes_back_is_not_kept(recorder: TrainerStandIn) -> None:
    watch = TrainingWatch(recorder.run)
    recorder.status(START, status="training", current_file="a.jsonl")
    watch.read(START)
    recorder.status(START + 1, current_file=None)
    assert watch.read(START + 1).current_file is None


def test_the_run_is_named_by_its_recorder_else_by_its_directory(
    trainer: TrainerStandIn, recorder: TrainerStandIn
) -> None:
    trainer.status(START, status="training")
    assert read(trainer).run_id == "some-run"
    recorder.status(START, status="training")
    assert read(recorder).run_id == "my-run"


def test_a_new_run_in_the_same_directory_inherits_nothing(recorder: TrainerStandIn) -> None:
    watch = TrainingWatch(recorder.run)
    recorder.status(START, status="completed", current_step=900, loss=0.1, model_name="old")
    watch.read(START)
    other = TrainerStandIn(
        recorder.run.path, own={**OWN, "run_id": "next", "pid": 8, "started_at": START + 50}
    )
    other.status(START + 51, status="training")
    reading = watch.read(START + 51)
    assert (reading.run_id, reading.current_step, reading.model_name) == ("next", None, None)


# Files that are not as they should be


def test_without_a_status_file_the_reading_says_what_to_do(trainer: TrainerStandIn) -> None:
    reading = read(trainer)
    assert (reading.status, reading.liveness.state) == (None, "unknown")
    assert "create it, or set run_dir" in reading.problems[0]
    trainer.run.path.mkdir()
    assert "appears when a trainer records" in read(trainer).problems[0]


@pytest.mark.parametrize("content", [b"", b'{"status": "tr', b"[]", b"\x00\xff", b"null"])
def test_a_broken_status_file_is_named_and_the_last_values_stay(
    trainer: TrainerStandIn, content: bytes
) -> None:
    watch = TrainingWatch(trainer.run)
    trainer.status(START, status="training", current_step=7)
    watch.read(START)
    trainer.put(trainer.run.status_file, content, START + 10)
    reading = watch.read(START + 20)
    assert str(trainer.run.status_file) in reading.problems[0]
    assert (reading.status, reading.current_step) == ("training", 7)


def test_a_removed_status_file_leaves_the_last_values(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    trainer.status(START, status="training", current_step=7)
    watch.read(START)
    trainer.run.status_file.unlink()
    reading = watch.read(START + 1)
    assert reading.current_step == 7
    assert "was removed" in reading.problems[0]


def test_a_field_of_the_wrong_type_is_named_with_its_file(trainer: TrainerStandIn) -> None:
    trainer.status(START, status="training", current_step="many", loss=0.5)
    reading = read(trainer)
    assert (reading.current_step, reading.loss) == (None, 0.5)
    assert reading.problems == (
        f"{trainer.run.status_file}: current_step = 'many' is left out: expected a whole number, "
        "0 or more.",
    )


def test_what_the_recorder_could_not_write_is_told(recorder: TrainerStandIn) -> None:
    recorder.status(
        START,
        status="training",
        recorder_errors={"message": "disk full.", "dropped": {"metrics": 3}, "waiting": {}},
    )
    problem = read(recorder).problems[0]
    assert "disk full. 3 records are lost." in problem


def test_a_diverged_run_is_told_and_its_loss_shown(trainer: TrainerStandIn) -> None:
    trainer.status(START, status="training", current_step=7, loss=math.nan)
    reading = read(trainer)
    assert reading.loss is not None
    assert math.isnan(reading.loss)
    assert "the loss is nan at step 7, the run has diverged" in reading.problems[0]
    assert reading.recent_losses == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
READING_FIELDS = [
    *(name for name in TrainingReading.__dataclass_fields__ if name != "status_json"),
    *(
        "timestamp",
        "pid",
        "hostname",
        "started_at",
        "recorder_errors",
        "recorder_refused",
        "is_training",
        "is_paused",
    ),
]
STATES = st.fixed_dictionaries(
    {}, optional={"status": st.sampled_from(["training", "paused", "crashed", "completed"])}
)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(STATES, st.dictionaries(st.sampled_from(READING_FIELDS), JSON, max_size=8)),
        min_size=1,
        max_size=4,
    )
)
def test_no_value_of_any_field_stops_the_reading(
    tmp_path_factory: pytest.TempPathFactory,
    writes: list[tuple[dict[str, object], dict[str, object]]],
) -> None:
    trainer = TrainerStandIn(tmp_path_factory.mktemp("run"))
    watch = TrainingWatch(trainer.run)
    for second, (state, fields) in enumerate(writes):
        trainer.status(START + second, **{**fields, **state})
        reading = watch.read(START + second)
        assert all(problem.encode() for problem in reading.problems)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=64).filter(lambda content: b"{" not in content), max_size=4))
def test_no_bytes_in_the_status_file_stop_the_reading(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]
) -> None:
    trainer = TrainerStandIn(tmp_path_factory.mktemp("run"))
    watch = TrainingWatch(trainer.run)
    for second, content in enumerate(contents):
        trainer.put(trainer.run.status_file, content, START + second)
        trainer.put(trainer.run.control_state_file, content, START + second)
        assert watch.read(START + 10 + second).problems


LINES = st.dictionaries(
    st.sampled_from([*MetricPoint.__dataclass_fields__, "other"]), JSON | st.integers(0, 2**63)
)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40) | LINES, max_size=8), st.integers(-(10**6), 10**6))
def test_no_line_of_a_log_and_no_clock_stop_the_reading(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes | dict[str, object]], shift_s: int
) -> None:
    trainer = TrainerStandIn(tmp_path_factory.mktemp("run"))
    watch = TrainingWatch(trainer.run)
    trainer.status(START, status="training")
    for line in lines:
        if isinstance(line, dict):
            trainer.log("metrics", START, **{"step": 1} | line)
        else:
            trainer.log_raw("metrics", START, line.decode("utf-8", "replace"))
        watch.read(START)
    liveness = watch.read(START + shift_s).liveness
    assert liveness.silent_s is not None
    assert liveness.silent_s >= 0


def test_nothing_is_written_into_the_run_directory(trainer: TrainerStandIn) -> None:
    trainer.status(START, status="training", current_step=1)
    trainer.log("metrics", START, step=1, loss=2.0)

    def tree() -> dict[Path, tuple[int, bytes]]:
        files = (path for path in trainer.run.path.rglob("*") if path.is_file())
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before = tree()
    watch = TrainingWatch(trainer.run)
    watch.read(START)
    watch.read(START + 1)
    assert tree() == before


# Pauses


@pytest.mark.parametrize(
    "control", [{"status": "paused", "paused_at": "2025-11-24T10:25:00"}, {"paused": True}]
)
def test_a_pause_stands_in_the_control_state(
    trainer: TrainerStandIn, control: dict[str, object]
) -> None:
    trainer.status(START, status="training", current_step=7)
    trainer.control(START + 1, **control)
    reading = read(trainer, START + 3600)
    assert (reading.status, reading.liveness.state) == ("paused", "live")


def test_a_pause_that_the_run_has_left_behind_does_not_count(trainer: TrainerStandIn) -> None:
    trainer.control(START, status="paused")
    trainer.status(START + 600, status="training", current_step=7)
    assert read(trainer, START + 601).status == "training"


def test_a_pause_does_not_bring_an_ended_run_back(trainer: TrainerStandIn) -> None:
    trainer.control(START, status="paused")
    trainer.status(START, status="completed")
    assert read(trainer).status == "completed"


def test_paused_time_does_not_count_in_the_pace(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    for second in range(11):
        trainer.status(START + second, status="training", current_step=second, total_steps=100)
        watch.read(START + second)
    trainer.control(START + 11, status="paused")
    paused = watch.read(START + 11)
    assert (paused.status, paused.eta_overall_s) == ("paused", None)
    trainer.control(START + 1000, status="training")
    watch.read(START + 1000)
    trainer.status(START + 1001, status="training", current_step=11, total_steps=100)
    assert watch.read(START + 1001).eta_overall_s == pytest.approx(89)


# What is worked out


def falling(trainer: TrainerStandIn, watch: TrainingWatch, steps: range) -> TrainingReading:
    """One write of the status a second, as the daemon trainer does."""
    reading = watch.read(START)
    for second, step in enumerate(steps):
        loss = 2.0 - 0.01 * second
        trainer.status(
            START + second,
            status="training",
            current_step=step,
            total_steps=steps[0] + 1000,
            batch_step=second,
            batch_total_steps=200,
            loss=loss,
            tokens_per_sec=1000.0,
        )
        reading = watch.read(START + second)
    return reading


def test_a_resumed_run_is_judged_by_the_steps_of_this_session(trainer: TrainerStandIn) -> None:
    reading = falling(trainer, TrainingWatch(trainer.run), range(15_000, 15_051))
    assert reading.eta_overall_s == pytest.approx(950)
    assert reading.eta_current_file_s == pytest.approx(150)
    assert reading.segment_start_step == 15_000


def test_trend_spread_average_and_baseline_are_worked_out_and_said_to_be(
    trainer: TrainerStandIn,
) -> None:
    reading = falling(trainer, TrainingWatch(trainer.run), range(50))
    assert reading.loss_trend == "improving"
    assert reading.streaming_ce == pytest.approx(1.6, abs=0.05)
    assert reading.loss_variance == pytest.approx(0.0213, abs=0.001)
    assert (reading.tokens_per_sec_avg, reading.tokens_per_sec_baseline) == (1000.0, 1000.0)
    assert reading.throughput_trend == "normal"
    assert reading.derived == {
        *("loss_trend", "streaming_ce", "loss_variance", "tokens_per_sec_avg"),
        *("tokens_per_sec_baseline", "throughput_trend", "eta_overall_s", "eta_current_file_s"),
        "train_loss",
    }
    assert len(reading.recent_losses) == 50
    assert reading.recent_losses[-1] == (49, 2.0 - 0.01 * 49)


def test_what_the_trainer_tells_is_not_worked_out(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    falling(trainer, watch, range(50))
    trainer.status(START + 50, status="training", streaming_ce=0.4, loss_trend="degrading")
    reading = watch.read(START + 50)
    assert (reading.streaming_ce, reading.loss_trend) == (0.4, "rising")
    assert not {"streaming_ce", "loss_trend"} & reading.derived


def test_what_the_trainer_told_long_ago_gives_way(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    trainer.status(START - 1000, status="training", loss_trend="degrading")
    watch.read(START - 1000)
    assert falling(trainer, watch, range(50)).loss_trend == "improving"


def test_the_gap_of_validation_and_training_is_worked_out(trainer: TrainerStandIn) -> None:
    trainer.status(START, status="training", current_step=5, loss=0.5, validation_loss=0.75)
    reading = read(trainer)
    assert reading.val_train_gap == pytest.approx(0.25)
    assert "val_train_gap" in reading.derived


def test_a_slower_run_is_degraded_by_the_ratio_that_is_set(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run, degraded_ratio=0.95)
    reading = falling(trainer, watch, range(50))
    for second in range(50, 60):
        trainer.status(START + second, status="training", current_step=second, tokens_per_sec=880.0)
        reading = watch.read(START + second)
    assert reading.throughput_trend == "degraded"


def test_an_ended_run_has_no_time_left(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    falling(trainer, watch, range(20))
    trainer.status(START + 20, status="completed", current_step=20)
    reading = watch.read(START + 20)
    assert (reading.eta_overall_s, reading.eta_current_file_s) == (None, None)


# Segments and writers


def test_a_step_that_goes_backwards_is_a_new_segment(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    falling(trainer, watch, range(100, 150))
    trainer.status(START + 60, status="training", current_step=120, loss=1.5)
    reading = watch.read(START + 60)
    assert (reading.current_step, reading.segment_start_step) == (120, 120)
    assert reading.segment_count == 2
    assert reading.recent_losses == ((120, 1.5),)
    assert reading.problems == ()


def test_two_runs_that_write_to_one_directory_are_told(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    first = TrainerStandIn(trainer.run.path, own=OWN | {"pid": 11})
    second = TrainerStandIn(trainer.run.path, own=OWN | {"pid": 22, "run_id": "other-run"})
    reading = watch.read(START)
    for tick in range(6):
        (first, second)[tick % 2].status(START + tick, status="training", current_step=tick)
        reading = watch.read(START + tick)
    assert reading.problems == (
        f"{trainer.run.path}: two runs write to this directory (pid 11 on another-box and pid 22 "
        "on another-box): give each its own; in distributed training let one process record.",
    )


def test_two_runs_that_do_not_say_who_they_are_are_told_by_their_steps(
    trainer: TrainerStandIn,
) -> None:
    watch = TrainingWatch(trainer.run)
    reading = watch.read(START)
    for tick in range(10):
        step = tick if tick % 2 else 1000 + tick
        trainer.status(START + tick, status="training", current_step=step)
        reading = watch.read(START + tick)
    assert "two runs write to this directory" in reading.problems[0]


# The logs


def test_a_metrics_log_tells_more_than_the_status(recorder: TrainerStandIn) -> None:
    watch = TrainingWatch(recorder.run)
    recorder.status(START, status="training", current_step=0, total_steps=1000)
    for second in range(1, 31):
        recorder.log("metrics", START + second, step=second, loss=3 - second / 30, grad_norm=1.5)
    reading = watch.read(START + 30)
    assert (reading.current_step, reading.loss, metric(reading, "grad_norm")) == (30, 2.0, 1.5)
    assert (reading.segment_start_step, reading.segment_count) == (1, 1)
    assert reading.loss_trend == "improving"
    assert len(reading.recent_losses) == 30
    assert reading.eta_overall_s == pytest.approx(970)
    assert reading.age_s("loss", START + 31) == 1


def test_a_status_that_lags_behind_the_log_does_not_turn_it_back(
    recorder: TrainerStandIn,
) -> None:
    watch = TrainingWatch(recorder.run)
    recorder.status(START, status="training", current_step=1, loss=3.0)
    for step in range(1, 31):
        recorder.log("metrics", START + step, step=step, loss=2.0)
    watch.read(START + 30)
    recorder.status(START + 31, phase="saving")
    reading = watch.read(START + 31)
    assert (reading.current_step, reading.loss, reading.phase) == (30, 2.0, "saving")
    assert reading.segment_count == 1


def test_a_resume_shows_in_the_log_and_in_the_status_and_counts_once(
    recorder: TrainerStandIn,
) -> None:
    watch = TrainingWatch(recorder.run)
    recorder.status(START, status="training", total_steps=200)
    for step in range(100):
        recorder.log("metrics", START + step, step=step, loss=2.0)
    watch.read(START + 100)
    later = START + 500
    resumed = TrainerStandIn(recorder.run.path, own=OWN | {"pid": 5, "started_at": later})
    resumed.status(later, status="training", total_steps=200)
    watch.read(later)
    for step in range(50, 61):
        resumed.log("metrics", later + 2 * (step - 50), step=step, loss=1.0)
    reading = watch.read(later + 20)
    assert (reading.segment_start_step, reading.segment_count) == (50, 2)
    assert reading.eta_overall_s == pytest.approx(280), "at the pace of this session alone"
    assert reading.recent_losses[0] == (50, 1.0)


def test_earlier_sessions_of_the_log_are_counted_and_not_mixed_in(
    recorder: TrainerStandIn,
) -> None:
    for step in range(100):
        recorder.log("metrics", START - 5000 + step, step=step, loss=2.0)
    for step in range(50, 61):
        recorder.log("metrics", START + step, step=step, loss=1.0)
    recorder.status(START + 61, status="training")
    reading = read(recorder, START + 61)
    assert (reading.segment_start_step, reading.segment_count) == (50, 2)
    assert reading.streaming_ce == 1.0
    assert reading.liveness.patience_s == 90, "the time between the sessions was no interval"


def test_where_a_long_log_began_is_not_known(recorder: TrainerStandIn) -> None:
    lines = "".join(f'{{"ts": "2027-01-15T08:00:00Z", "step": {step}}}\n' for step in range(6000))
    recorder.log_raw("metrics", START, lines)
    reading = read(recorder)
    assert (reading.current_step, reading.segment_start_step) == (5999, None)


def test_a_log_that_was_replaced_is_no_resume(recorder: TrainerStandIn) -> None:
    watch = TrainingWatch(recorder.run)
    recorder.log("metrics", START, step=100, loss=2.0)
    watch.read(START)
    (path,) = recorder.run.logs("metrics").iterdir()
    recorder.put(path, '{"ts": "2027-01-15T08:00:00Z", "step": 3, "loss": 1.0}\n', START + 1)
    reading = watch.read(START + 1)
    assert (reading.segment_start_step, reading.segment_count) == (3, 1)


def test_lines_that_cannot_be_read_are_counted_and_the_newest_named(
    recorder: TrainerStandIn,
) -> None:
    recorder.status(START, status="training")
    recorder.log("metrics", START, step=1, loss=2.0)
    recorder.log_raw("metrics", START, "garbage\n" + "[" * 5000 + "\n")
    recorder.log("metrics", START, step="one", loss=2.0)
    recorder.log("metrics", START, step=2, loss=1.5)
    watch = TrainingWatch(recorder.run)
    reading = watch.read(START)
    assert reading.current_step == 2
    (problem,) = reading.problems
    assert "3 lines cannot be read" in problem
    assert "line 4: MetricPoint.step: expected a whole number" in problem
    assert str(recorder.run.logs("metrics")) in problem
    assert watch.read(START + 1).problems == reading.problems


def test_a_torn_line_waits_for_its_end(recorder: TrainerStandIn) -> None:
    watch = TrainingWatch(recorder.run)
    recorder.log_raw("metrics", START, '{"ts": "2027-01-15T08:00:00Z", "step": 5, "lo')
    assert watch.read(START).current_step is None
    recorder.log_raw("metrics", START, 'ss": 1.5}\n')
    reading = watch.read(START + 1)
    assert (reading.current_step, reading.loss) == (5, 1.5)


def test_the_throughput_log_tells_the_speed(recorder: TrainerStandIn) -> None:
    watch = TrainingWatch(recorder.run)
    for step in range(1, 11):
        recorder.log("metrics", START + step, step=step, tokens=512, step_time_ms=500.0)
    reading = watch.read(START + 10)
    assert reading.tokens_per_sec == 1024.0
    assert "tokens_per_sec" in reading.derived
    for step in range(11, 21):
        recorder.log("throughput", START + step, step=step, tokens_per_sec=2000.0)
    reading = watch.read(START + 20)
    assert (reading.tokens_per_sec, reading.tokens_per_sec_baseline) == (2000.0, 2000.0)
    assert "tokens_per_sec" not in reading.derived


@pytest.mark.parametrize("kind", ["metrics", "throughput", "preview"])
def test_whatever_log_grows_is_a_sign_of_life(recorder: TrainerStandIn, kind: LogKind) -> None:
    watch = TrainingWatch(recorder.run)
    recorder.status(START, status="training")
    watch.read(START)
    assert watch.read(START + 100).liveness.state == "stalled"
    recorder.log(kind, START + 101, step=1, tokens_per_sec=1.0)
    assert watch.read(START + 101).liveness.state == "live"


def test_the_interval_of_a_run_is_learned_from_its_log(recorder: TrainerStandIn) -> None:
    for step in range(5):
        recorder.log("metrics", START + 60 * step, step=step, loss=2.0)
    recorder.status(START + 240, status="training")
    assert read(recorder, START + 240).liveness.patience_s == 360


def test_a_real_recorder_is_watched_until_it_is_killed(tmp_path: Path) -> None:
    script = """
import sys, time
from control_room import Recorder
recorder = Recorder(sys.argv[1], run_id="real")
for step in range(40):
    recorder.log_metrics(step=step, loss=3.0 - step / 20)
    recorder.log_throughput(step=step, tokens_per_sec=900.0 + step)
recorder.update_status(status="training", total_steps=100, model_name="toy")
time.sleep(600)
"""
    watch = TrainingWatch(RunDir(tmp_path / "run"))
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "run")])
    try:
        wait_until(lambda: watch.read(time.time()).status == "training")
        reading = watch.read(time.time())
        assert (reading.run_id, reading.current_step, reading.loss_trend) == (
            "real",
            39,
            "improving",
        )
        assert (reading.model_name, reading.tokens_per_sec) == ("toy", 939.0)
        assert reading.liveness.state == "live"
        assert reading.problems == ()
    finally:
        process.kill()
        process.wait()
    assert watch.read(time.time() + 20).status == "crashed"


def test_a_real_recorder_that_finishes_has_completed(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    with Recorder(run) as recorder:
        recorder.log_metrics(step=1, loss=math.nan, learning_rate=0.0)
    reading = TrainingWatch(run).read(time.time())
    assert (reading.status, reading.current_step, metric(reading, "learning_rate")) == (
        "completed",
        1,
        0.0,
    )
    assert reading.liveness.state == "ended"
    assert "has diverged" in reading.problems[0]


# Liveness


def test_a_run_that_writes_is_alive(trainer: TrainerStandIn) -> None:
    trainer.status(START, status="training", current_step=7)
    liveness = read(trainer, START + 60).liveness
    assert (liveness.state, liveness.silent_s, liveness.patience_s) == ("live", 60, 90)


def test_silence_is_a_stall_and_not_a_crash(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    for second in range(0, 10, 2):
        trainer.status(START + second, status="training", current_step=1500)
        watch.read(START + second)
    reading = watch.read(START + 8 + 200)
    assert (reading.status, reading.liveness.state) == ("training", "stalled")
    assert reading.liveness.reason == (
        "no write for 3 min 20 s; last: step 1500; slowest usual interval 2 s"
    )
    assert reading.eta_overall_s is None


def test_a_phase_that_takes_long_is_given_its_time(recorder: TrainerStandIn) -> None:
    watch = TrainingWatch(recorder.run)
    recorder.status(START, status="training", phase="saving", current_step=1500)
    reading = watch.read(START)
    assert reading.phase == "saving"
    assert watch.read(START + 500).liveness.state == "live"
    stalled = watch.read(START + 700).liveness
    assert stalled.reason == "no write for 11 min 40 s; last: step 1500 while saving a checkpoint"
    recorder.status(START + 701, phase="training")
    recorded = watch.read(START + 701)
    assert recorded.liveness.patience_s == 90, "the phase taught nothing about the usual interval"


def test_a_slow_run_is_given_six_times_its_own_interval(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    for tick in range(4):
        at = START + 25 * tick
        trainer.status(at, status="training", current_step=tick)
        watch.read(at)
    assert watch.read(START + 75 + 25).liveness.patience_s == 150


def test_a_trainer_whose_clock_is_wrong_is_alive_all_the_same(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    trainer.status(START - 7200, status="training", current_step=1)
    assert watch.read(START).liveness.state == "stalled", "nothing is known of its clock yet"
    trainer.status(START - 7199, status="training", current_step=2)
    assert watch.read(START + 1).liveness.state == "live"
    trainer.status(START + 7200, status="training", current_step=3)
    reading = watch.read(START + 2)
    assert reading.liveness.silent_s == 0
    assert reading.updated_at == START + 2


def test_a_copied_directory_is_as_old_as_its_content(trainer: TrainerStandIn) -> None:
    trainer.status(START, status="training", current_step=7)
    os.utime(trainer.run.status_file, (START + 86400, START + 86400))
    assert read(trainer, START + 86400).liveness.state == "stalled"


def test_a_killed_process_is_proof_of_a_crash(trainer: TrainerStandIn) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        own = {"pid": process.pid, "hostname": platform.node(), "run_id": "a"}
        recorder = TrainerStandIn(trainer.run.path, own=own)
        watch = TrainingWatch(trainer.run)
        recorder.status(START, status="training", current_step=7)
        assert watch.read(START).status == "training"
    finally:
        process.kill()
        process.wait()
    reading = watch.read(START + 10)
    assert reading.status == "crashed"
    assert reading.liveness.state == "ended"
    assert reading.error_message == f"the process (pid {process.pid}) ended without saying so"
    assert "no longer exists" in str(reading.liveness.reason)
    recorder.status(START + 20, status="training", current_step=8)
    assert watch.read(START + 20).status == "training", "who writes is not dead"


def test_a_paused_run_may_have_ended_its_process(trainer: TrainerStandIn) -> None:
    own = {"pid": 2**22, "hostname": platform.node()}
    TrainerStandIn(trainer.run.path, own=own).status(START, status="paused")
    assert read(trainer, START + 1e6).status == "paused"


# The daemon trainer, from the project's fixtures and from its real files

FIXTURES = Path(__file__).parents[3] / "fixtures" / "trainer"
SHARED = Path(__file__).parents[5] / "shared" / "data" / "trainer"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the real trainer's files (../shared/data/trainer) are not here"
)


class Replay:
    """Puts one case after the other into a run directory."""

    def __init__(self, cases: Path, path: Path) -> None:
        self.run = RunDir(path)
        self._cases = cases
        self._watch = TrainingWatch(self.run)
        told = json.loads(self._file("training").read_text())["timestamp"]
        self._at = datetime.fromisoformat(told).timestamp()

    def _file(self, case: str) -> Path:
        return self._cases / case / "status" / "training_status.json"

    def show(self, case: str) -> TrainingReading:
        self.run.status_file.parent.mkdir(parents=True, exist_ok=True)
        new = self.run.path / "new"
        shutil.copyfile(self._file(case), new)
        self._at += 1
        os.utime(new, (self._at, self._at))
        new.replace(self.run.status_file)
        return self._watch.read(self._at)


@pytest.mark.parametrize("case", ["training", "advanced", "completed", "crashed"])
@pytest.mark.parametrize("cases", [FIXTURES, pytest.param(SHARED, marks=needs_shared)])
def test_each_kind_of_write_is_read_without_complaint(
    tmp_path: Path, cases: Path, case: str
) -> None:
    reading = Replay(cases, tmp_path).show(case)
    assert reading.status == {"advanced": "training"}.get(case, case)
    assert reading.problems == ()
    assert reading.liveness.state in ("live", "stalled", "ended")


@pytest.mark.parametrize("cases", [FIXTURES, pytest.param(SHARED, marks=needs_shared)])
def test_an_ended_run_seen_for_the_first_time_has_no_zeros(tmp_path: Path, cases: Path) -> None:
    crashed = Replay(cases, tmp_path / "crashed").show("crashed")
    assert (crashed.current_step, crashed.total_steps, crashed.loss) == (None, None, None)
    assert (crashed.epoch, metric(crashed, "learning_rate")) == (None, None)
    completed = Replay(cases, tmp_path / "completed").show("completed")
    assert completed.current_step == completed.total_steps is not None
    assert completed.loss is None


@pytest.mark.parametrize("cases", [FIXTURES, pytest.param(SHARED, marks=needs_shared)])
def test_no_write_takes_away_what_an_earlier_one_told(tmp_path: Path, cases: Path) -> None:
    replay = Replay(cases, tmp_path)
    readings = [asdict(replay.show(case)) for case in ("training", "advanced", "crashed")]
    told = [
        {name for name, value in reading.items() if value is not None and name[:3] != "eta"}
        for reading in readings
    ]
    assert told[0] <= told[1] <= told[2]


def test_a_run_of_the_projects_fixtures(tmp_path: Path) -> None:
    replay = Replay(FIXTURES, tmp_path)
    replay.show("training")
    replay.show("advanced")
    reading = replay.show("crashed")
    assert (reading.model_name, reading.current_step, reading.total_steps) == (
        "toy-0.1b",
        4200,
        20000,
    )
    assert (reading.loss, reading.streaming_ce, reading.val_train_gap) == (0.729, 0.744, 0.058)
    assert (reading.batch_step, reading.batch_total_steps) == (20, 80)
    assert reading.throughput_trend == "normal"
    assert reading.error_message == "CUDA error: an illegal memory access was encountered"


@needs_shared
def test_a_run_of_the_real_trainer(tmp_path: Path) -> None:
    replay = Replay(SHARED, tmp_path)
    training = replay.show("training")
    assert (training.status, training.current_step, training.total_steps) == (
        "training",
        15_000,
        100_000,
    )
    assert training.loss is None  # the write is that of an answer, whose loss is an example's
    newest = training.throughput_samples[-1]  # all that this write tells of the speed
    assert (training.tokens_per_sec, training.batch_step) == (newest.tokens_per_sec, None)
    advanced = replay.show("advanced")
    assert (advanced.model_name, advanced.current_file) == ("qwen3-0.6b", "syllo_batch_042.jsonl")
    assert (advanced.streaming_ce, advanced.loss_variance) == (0.438, 0.012)
    assert (advanced.loss_trend, advanced.throughput_trend) == ("stable", "normal")
    again = replay.show("training")
    assert (again.tokens_per_sec, again.batch_step) == (2450.0, 15)
    crashed = replay.show("crashed")
    assert (crashed.status, crashed.error_type) == ("crashed", "OOM")
    assert crashed.error_message == "CUDA out of memory. Tried to allocate 2.00 GiB"
    assert (crashed.current_step, crashed.total_steps, crashed.epoch) == (15_000, 100_000, 2)
    assert (crashed.tokens_per_sec, crashed.tokens_per_sec_avg) == (2450.0, 2380.0)
    assert crashed.loss == again.loss == pytest.approx(0.452)
    assert crashed.liveness.state == "ended"
    assert crashed.eta_overall_s is None
    completed = replay.show("completed")
    assert (completed.status, completed.current_step, completed.error_message) == (
        "completed",
        100_000,
        None,
    )
