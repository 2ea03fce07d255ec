"""What a trainer tells beside its step and loss, and when it ends to hold."""

from __future__ import annotations

import json
import math
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.files.training import TrainingReading, TrainingWatch
from collectors.files.training.reported import (
    Alert,
    ToldEval,
    ToldHeatmap,
    ToldSample,
    ToldSnapshot,
)
from collectors.files.training.status_file import parse_status
from collectors.json_values import WrongTypeError, duration_s
from tests.collectors.files.training.trainer_stand_in import START, TrainerStandIn, metric
from tests.support import SHARED

OWN = {"run_id": "my-run", "pid": 4_000_000, "hostname": "another-box", "started_at": START}
needs_shared = pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="needs ../shared/data")


@pytest.fixture
def trainer(tmp_path: Path) -> TrainerStandIn:
    return TrainerStandIn(tmp_path / "some-run")


@pytest.fixture
def recorder(tmp_path: Path) -> TrainerStandIn:
    return TrainerStandIn(tmp_path / "some-run", own=dict(OWN))


def told(**fields: Any) -> dict[str, Any]:
    return dict(parse_status(fields).values)


# The loss of an example


def answered(step: int, loss: float, **more: Any) -> dict[str, Any]:
    """As the daemon trainer writes its status for an answer."""
    example = {"step": step, "prompt": "p", "golden": "g", "model_output": "a", "loss": loss}
    return {"current_step": step, "loss": loss, "recent_examples": [example], **more}


def test_the_loss_of_an_answer_enters_neither_loss_nor_trend_nor_streaming_ce(
    trainer: TrainerStandIn,
) -> None:
    watch = TrainingWatch(trainer.run)
    for step in range(40):
        trainer.status(
            START + 2 * step, status="training", current_step=step, loss=0.5 - step / 1000
        )
        watch.read(START + 2 * step)
        trainer.status(START + 2 * step + 1, status="training", **answered(step, 3.0))
        reading = watch.read(START + 2 * step + 1)
    assert reading.loss == pytest.approx(0.461)
    assert reading.streaming_ce is not None and reading.streaming_ce < 0.5
    assert reading.loss_trend == "improving"
    assert max(loss for _, loss in reading.recent_losses) == 0.5
    assert reading.current_step == 39


def test_a_write_of_progress_that_still_shows_the_example_tells_the_loss() -> None:
    write = {**answered(100, 3.0), "current_step": 110, "loss": 0.4}
    assert told(**write)["loss"] == 0.4
    assert "loss" not in told(**answered(100, 3.0))


@pytest.mark.parametrize("recent", [None, [], "x", [None], [{}], [{"step": 1}], {"loss": 1}])
def test_recent_examples_that_are_none_change_nothing(recent: object) -> None:
    assert told(current_step=1, loss=0.5, recent_examples=recent)["loss"] == 0.5


# Speed and memory


SAMPLES = [
    {"step": 14_000 + n, "tokens_per_sec": 2300.0 + n, "vram_gb": 20.1, "penalty": 0.0}
    for n in range(60)
]


def test_samples_are_taken_under_the_names_of_their_writer_and_of_their_readers() -> None:
    of_reader = {
        "timestamp": "2026-01-31T12:00:00+00:00",
        "tokens_per_sec": 2300.5,
        "vram_used_gb": 20.5,
        "vram_pct": 85.5,
        "batch_size": 8,
        "sequence_length": 2048,
    }
    samples = told(throughput_vram_samples=[SAMPLES[0], of_reader])["throughput_samples"]
    assert samples == (
        ToldSample(2300.0, step=14_000, vram_used_gb=20.1),
        ToldSample(2300.5, None, 1_769_860_800.0, 20.5, 85.5, 8, 2048),
    )


def test_samples_give_speed_average_and_baseline_where_nothing_else_does(
    trainer: TrainerStandIn,
) -> None:
    watch = TrainingWatch(trainer.run)
    trainer.status(START, status="training", current_step=1, throughput_vram_samples=SAMPLES[:30])
    reading = watch.read(START)
    assert reading.tokens_per_sec == 2329.0
    assert reading.tokens_per_sec_baseline == 2314.5
    assert reading.tokens_per_sec_avg is not None
    assert reading.throughput_trend == "normal"


def test_samples_that_a_later_write_repeats_count_once(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    for second, upto in enumerate((30, 30, 45, 60)):
        trainer.status(
            START + second,
            status="training",
            current_step=upto,
            throughput_vram_samples=SAMPLES[max(0, upto - 40) : upto],
        )
        reading = watch.read(START + second)
    assert [sample.step for sample in reading.throughput_samples] == [14_000 + n for n in range(60)]
    assert reading.tokens_per_sec == 2359.0


def test_a_log_of_the_throughput_comes_first(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    for step in range(10):
        trainer.log("throughput", START + step, step=step, tokens_per_sec=100.0)
    trainer.status(START + 9, status="training", throughput_vram_samples=SAMPLES)
    reading = watch.read(START + 10)
    assert (reading.tokens_per_sec, reading.tokens_per_sec_avg) == (100.0, 100.0)


# The other keys


def test_the_keys_of_the_daemon_trainer_are_read() -> None:
    values = told(
        current_checkpoint="checkpoint-15000",
        latest_snapshot_date="2025-11-22",
        fixed_eval={
            "em": 0.83,
            "ce": 0.35,
            "ece": 0.08,
            "step": 15_000,
            "timestamp": "2026-01-31T12:00:00+00:00",
            "by_domain": {"syllogism": {"em": 0.88, "ce": 0.3, "count": 40}, "math": 0.7},
        },
        fixed_eval_history=[{"step": 10, "em": 0.5}, {"step": 20, "em": 0.6}],
        fixed_eval_trend="degrading",
        micro_eval={"loss": 0.42, "step": 14_950},
        recent_snapshots=[
            {
                "date": "2025-11-22",
                "model_id": "checkpoint-15000",
                "fixed_eval_em": 0.83,
                "tags": ["best_so_far"],
            },
            {"date": "2025-11-21"},
        ],
        preview_jobs_pending=3,
        eval_jobs_pending=0,
        data_gen_jobs_pending=1,
        queue_high=2,
        last_preview_latency_ms=120,
        pattern_heatmap={"rows": ["sum"], "cols": ["0-50", "50+"], "data": [[0.5, None]]},
        active_alerts=[
            {"severity": "critical", "type": "val_gap", "message": "val-train gap 0.900"},
            "GPU hot",
        ],
    )
    assert values == {
        "checkpoint_id": "checkpoint-15000",
        "latest_snapshot_date": date(2025, 11, 22),
        "fixed_eval_em": 0.83,
        "fixed_eval_ce": 0.35,
        "fixed_eval_ece": 0.08,
        "fixed_eval_step": 15_000,
        "fixed_eval_timestamp": 1_769_860_800.0,
        "fixed_eval_domains": {
            "syllogism": ToldEval(em=0.88, ce=0.3, count=40),
            "math": ToldEval(em=0.7),
        },
        "fixed_eval_history": (ToldEval(em=0.5, step=10), ToldEval(em=0.6, step=20)),
        "fixed_eval_trend": "declining",
        "micro_eval_loss": 0.42,
        "micro_eval_step": 14_950,
        "recent_snapshots": (
            ToldSnapshot("checkpoint-15000", date(2025, 11, 22), em=0.83, is_best=True),
            ToldSnapshot("2025-11-21", date(2025, 11, 21)),
        ),
        "jobs_pending": {"preview": 3, "eval": 0, "data_gen": 1, "training_high": 2},
        "last_preview_latency_ms": 120.0,
        "pattern_heatmap": ToldHeatmap(("sum",), ("0-50", "50+"), ((0.5, None),)),
        "active_alerts": (
            Alert("val-train gap 0.900", "critical", "val_gap"),
            Alert("GPU hot"),
        ),
    }


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("2h 15m", 8_100),
        ("12h 30m", 45_000),
        ("45s", 45),
        ("1d 3h", 97_200),
        ("3m20s", 200),
        ("2 hours 5 min", 7_500),
        ("1.5h", 5_400),
        (90, 90),
    ],
)
def test_a_time_left_is_seconds_or_a_text(said: object, seconds: float) -> None:
    assert duration_s(said) == seconds


@pytest.mark.parametrize("said", ["", " ", "soon", "15m 2h", "2h 15", "h", -1, math.nan, "1..5h"])
def test_what_is_no_time_left_is_refused(said: object) -> None:
    with pytest.raises(WrongTypeError):
        duration_s(said)


def test_told_texts_of_the_time_left_are_taken(trainer: TrainerStandIn) -> None:
    trainer.status(START, status="training", eta_current_file="2h 15m", eta_overall="12h 30m")
    reading = TrainingWatch(trainer.run).read(START)
    assert (reading.eta_current_file_s, reading.eta_queued_s) == (8_100, 45_000)


@pytest.mark.parametrize(
    ("fields", "kept", "says"),
    [
        (
            {"throughput_vram_samples": [{"step": 1}, SAMPLES[0], None]},
            {"throughput_samples": (ToldSample(2300.0, step=14_000, vram_used_gb=20.1),)},
            "throughput_vram_samples: 2 of 3 are left out: expected a number tokens_per_sec",
        ),
        ({"throughput_vram_samples": "many"}, {}, "expected a list"),
        ({"active_alerts": [{"severity": "x"}]}, {}, "expected a list, each entry a text, or an"),
        ({"fixed_eval": 0.8}, {}, "fixed_eval is left out: expected an object"),
        ({"pattern_heatmap": {"rows": ["a"], "cols": [], "data": []}}, {}, "matrix data"),
        ({"preview_jobs_pending": -1}, {}, "preview_jobs_pending = -1 is left out"),
        ({"latest_snapshot_date": "friday"}, {}, "expected a day such as"),
    ],
)
def test_what_cannot_be_used_is_named_once(
    fields: dict[str, Any], kept: dict[str, Any], says: str
) -> None:
    write = parse_status(fields)
    assert write.values == kept
    assert len(write.problems) == 1
    assert says in write.problems[0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["em", "step", "message", "date", "model_id", "tokens_per_sec", "rows", "data"]
            ),
            inner,
        )
    ),
    max_leaves=8,
)
NESTED = st.sampled_from(
    [
        *("throughput_vram_samples", "active_alerts", "fixed_eval", "fixed_eval_history"),
        *("micro_eval", "recent_snapshots", "pattern_heatmap", "x_jobs_pending", "queue_low"),
        *("latest_snapshot_date", "eta_overall", "fixed_eval_trend", "current_checkpoint"),
    ]
)


@given(st.dictionaries(NESTED, JSON))
def test_nothing_that_stands_there_stops_the_reading(fields: dict[str, Any]) -> None:
    for problem in parse_status(fields).problems:
        problem.encode()


@needs_shared
def test_a_session_of_the_real_trainer_tells_its_alert(tmp_path: Path) -> None:
    shutil.copytree(SHARED / "data" / "session", tmp_path / "session")
    reading = TrainingWatch(TrainerStandIn(tmp_path / "session").run).read(START)
    assert reading.active_alerts == (Alert("val-train gap 0.900", "critical", "val_gap"),)
    assert reading.fixed_eval_trend == "declining"
    assert reading.problems == ()


# Alerts


def test_an_alert_stays_over_writes_that_do_not_tell_alerts(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    trainer.status(START, status="training", loss_variance=0.1, active_alerts=[{"message": "hot"}])
    watch.read(START)
    trainer.status(START + 1, status="training", loss_variance=None, active_alerts=None)
    assert watch.read(START + 1).active_alerts == (Alert("hot"),)


def test_an_alert_is_over_when_a_write_that_tells_them_tells_none(
    trainer: TrainerStandIn, recorder: TrainerStandIn
) -> None:
    for writer, none in ((trainer, None), (recorder, None), (recorder, [])):
        watch = TrainingWatch(writer.run)
        writer.status(START, status="training", loss_variance=0.1, active_alerts=["hot"])
        assert watch.read(START).active_alerts
        writer.status(START + 1, status="training", loss_variance=0.2, active_alerts=none)
        assert watch.read(START + 1).active_alerts == ()


# What ends with the process that told it

TOLD = {
    "val_loss": 0.9,
    "val_train_gap": 0.3,
    "streaming_ce": 0.6,
    "loss_trend": "rising",
    "grad_norm": 7.0,
    "tokens_per_sec_avg": 900.0,
    "eta_current_file_s": 60.0,
    "active_alerts": ["hot"],
}
NAMES = tuple(TOLD)


def known(reading: TrainingReading) -> set[str]:
    return {name for name in NAMES if getattr(reading, name) not in (None, ())}


def test_what_a_process_of_the_recorder_told_ends_with_it(recorder: TrainerStandIn) -> None:
    watch = TrainingWatch(recorder.run)
    recorder.status(START, status="training", current_step=1500, loss=0.5, model_name="m", **TOLD)
    assert known(watch.read(START)) == set(NAMES)
    recorder.status(START + 1, status="crashed", error_message="OOM")
    assert known(watch.read(START + 1)) >= {"val_loss", "val_train_gap", "streaming_ce"}
    again = TrainerStandIn(recorder.run.path, own={**OWN, "pid": 8, "started_at": START + 50})
    again.status(START + 50, status="training")
    reading = watch.read(START + 51)
    assert known(reading) == set()
    assert reading.train_loss is None
    assert (reading.current_step, reading.loss, reading.model_name) == (1500, 0.5, "m")


@pytest.mark.parametrize("step", [1400, 1500])
def test_what_the_daemon_trainer_told_before_a_crash_ends_with_it(
    trainer: TrainerStandIn, step: int
) -> None:
    watch = TrainingWatch(trainer.run)
    trainer.status(START, status="training", current_step=1500, loss=0.5, **TOLD)
    watch.read(START)
    trainer.status(START + 1, status="crashed", current_step=0, loss=0.0)
    watch.read(START + 1)
    trainer.status(START + 60, status="training", current_step=step, loss=0.55, grad_norm=2.0)
    reading = watch.read(START + 60)
    assert known(reading) - {"loss_trend", "streaming_ce"} == {"grad_norm"}
    assert (metric(reading, "grad_norm"), reading.loss_trend) == (2.0, "unknown")
    assert reading.streaming_ce == reading.train_loss == 0.55


def test_the_next_file_of_the_same_process_ends_nothing(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    trainer.status(START, status="training", current_step=1500, loss=0.5, **TOLD)
    watch.read(START)
    trainer.status(START + 1, status="completed", current_step=1500)
    watch.read(START + 1)
    trainer.status(START + 2, status="training", current_step=1501, loss=0.5)
    assert known(watch.read(START + 2)) >= {"val_loss", "val_train_gap", "streaming_ce"}


def test_a_step_back_without_a_word_of_a_crash_ends_them_too(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    trainer.status(START, status="training", current_step=1500, loss=0.5, **TOLD)
    watch.read(START)
    trainer.status(START + 60, status="training", current_step=1400, loss=0.55)
    assert known(watch.read(START + 60)) - {"streaming_ce", "loss_trend"} == set()


def test_what_a_process_told_before_its_first_step_stays(recorder: TrainerStandIn) -> None:
    for second in range(5):
        recorder.log("metrics", START - 100 + second, step=1500 + second, loss=0.5, val_loss=0.9)
    watch = TrainingWatch(recorder.run)
    recorder.status(START, status="training", learning_rate=3e-4, grad_norm=1.5)
    watch.read(START + 1)
    recorder.log("metrics", START + 2, step=1400, loss=0.5)
    reading = watch.read(START + 2)
    assert (reading.val_loss, metric(reading, "grad_norm"), metric(reading, "learning_rate")) == (
        None,
        1.5,
        3e-4,
    )


# One answer


def assert_together(reading: TrainingReading) -> None:
    assert reading.val_loss is not None
    assert reading.train_loss is not None
    assert reading.val_train_gap == pytest.approx(reading.val_loss - reading.train_loss)


def test_the_gap_is_that_of_the_validation_loss_beside_it(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    trainer.log("metrics", START, step=1, loss=2.0, val_loss=2.5)
    before = watch.read(START)
    assert_together(before)
    for second in range(1, 50):
        trainer.log("metrics", START + second, step=1 + second, loss=0.5)
    after = watch.read(START + 50)
    assert (after.val_loss, after.train_loss, after.val_train_gap) == (2.5, 2.0, 0.5)
    assert after.streaming_ce is not None
    assert after.streaming_ce < 0.6


def test_a_validation_loss_that_is_repeated_is_not_measured_again(
    trainer: TrainerStandIn, recorder: TrainerStandIn
) -> None:
    for writer in (trainer, recorder):
        watch = TrainingWatch(writer.run)
        for second in range(50):
            loss = 2.0 if second == 0 else 0.5
            writer.status(
                START + second, status="training", current_step=second, loss=loss, val_loss=2.5
            )
            reading = watch.read(START + second)
        assert (reading.val_loss, reading.train_loss, reading.val_train_gap) == (2.5, 2.0, 0.5)


def test_a_told_gap_gives_the_training_loss_that_it_was_made_with(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    trainer.status(
        START, status="training", current_step=1, loss=0.5, validation_loss=0.9, val_train_gap=0.3
    )
    reading = watch.read(START)
    assert (reading.val_loss, reading.val_train_gap) == (0.9, 0.3)
    assert reading.train_loss == pytest.approx(0.6)
    assert "val_train_gap" not in reading.derived
    trainer.status(START + 1, status="training", current_step=2, loss=0.5, validation_loss=0.8)
    newer = watch.read(START + 1)
    assert (newer.val_loss, newer.train_loss) == (0.8, 0.5)
    assert_together(newer)
    assert "val_train_gap" in newer.derived


def test_a_validation_loss_that_diverged_has_no_gap(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    trainer.log("metrics", START, step=1, loss=0.5, val_loss=0.75)
    watch.read(START)
    trainer.log("metrics", START + 1, step=2, loss=0.5, val_loss="NaN")
    reading = watch.read(START + 1)
    assert reading.val_loss is not None and math.isnan(reading.val_loss)
    assert (reading.val_train_gap, reading.train_loss) == (None, 0.5)


def test_a_validation_loss_in_the_status_is_compared_where_a_log_tells_the_loss(
    recorder: TrainerStandIn,
) -> None:
    watch = TrainingWatch(recorder.run)
    recorder.log("metrics", START, step=1, loss=0.5)
    recorder.status(START, status="training", val_loss=0.75)
    reading = watch.read(START)
    assert (reading.val_loss, reading.train_loss, reading.val_train_gap) == (0.75, 0.5, 0.25)


def test_the_figures_of_one_evaluation_belong_together(trainer: TrainerStandIn) -> None:
    watch = TrainingWatch(trainer.run)
    fixed = {"em": 0.5, "ce": 1.5, "step": 10, "by_domain": {"sum": 0.4}}
    trainer.status(START, status="training", fixed_eval=fixed)
    assert watch.read(START).fixed_eval_ce == 1.5
    trainer.status(START + 1, status="training", fixed_eval=None)
    assert watch.read(START + 1).fixed_eval_ce == 1.5
    trainer.status(START + 2, status="training", fixed_eval={"em": 0.6, "step": 20})
    reading = watch.read(START + 2)
    assert (reading.fixed_eval_em, reading.fixed_eval_step) == (0.6, 20)
    assert (reading.fixed_eval_ce, reading.fixed_eval_domains) == (None, {})


# Pauses


def test_a_pause_of_the_control_state_tells_its_reason(trainer: TrainerStandIn) -> None:
    trainer.status(START, status="training")
    trainer.control(START + 1, status="paused", reason="Need to check logs")
    watch = TrainingWatch(trainer.run)
    reading = watch.read(START + 2)
    assert (reading.status, reading.pause_reason) == ("paused", "Need to check logs")
    trainer.control(START + 3, status="training", reason="Need to check logs")
    reading = watch.read(START + 4)
    assert (reading.status, reading.pause_reason) == ("training", None)


def test_a_pause_of_the_recorder_tells_its_reason(recorder: TrainerStandIn) -> None:
    watch = TrainingWatch(recorder.run)
    recorder.status(START, status="paused", pause_reason="waiting for data")
    assert watch.read(START).pause_reason == "waiting for data"
    recorder.status(START + 1, status="training")
    assert watch.read(START + 1).pause_reason is None


@pytest.mark.parametrize("reason", [None, "", 5, ["x"]])
def test_a_reason_that_is_none_is_not_told(trainer: TrainerStandIn, reason: object) -> None:
    trainer.status(START, status="training")
    trainer.control(START + 1, status="paused", reason=reason)
    assert TrainingWatch(trainer.run).read(START + 2).pause_reason is None


def test_the_own_fixtures_of_the_format_are_read_without_a_complaint() -> None:
    fixtures = Path(__file__).parents[3] / "fixtures" / "trainer"
    for status in fixtures.glob("*/status/training_status.json"):
        assert parse_status(json.loads(status.read_text())).problems == (), status
