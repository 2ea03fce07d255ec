"""What the trainer's own status tells, in the views."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.settings import Settings, Thresholds
from app.views.build import Samples, assemble
from app.views.build_evals import eval_status, stored
from app.views.build_jobs import job_queues, pending
from app.views.build_reported import TOLD_BY, queued_eta_s
from app.views.models import EvalStatus, LiveStatus, Views
from collectors.files.evals import EvalsReading
from collectors.files.previews import PreviewsReading
from collectors.files.queues import QueuesReading
from collectors.files.snapshots import SnapshotsReading, StoredWeights
from collectors.files.training import Liveness, TrainingReading
from collectors.files.training.reported import Alert, ToldEval, ToldHeatmap, ToldSnapshot
from collectors.sampler import Sample
from control_room import EvalRecord
from control_room.logs.recent import RecentSummary

NOW = 1_800_000_000.0


def reading(**values: Any) -> TrainingReading:
    fields: dict[str, Any] = {
        "run_id": "run",
        "status": "training",
        "liveness": Liveness(state="live", silent_s=0.0, patience_s=90.0),
    }
    return TrainingReading(**{**fields, **values})


def queues(**values: Any) -> QueuesReading:
    fields: dict[str, Any] = {
        **dict.fromkeys(("high", "normal", "low", "processing", "failed")),
        **dict.fromkeys(("pending_bytes", "processing_bytes")),
        **dict.fromkeys(("processing_files", "next_files"), ()),
    }
    return QueuesReading(**{**fields, **values})


def views(training: TrainingReading, **samples: Any) -> Views:
    taken: dict[str, Any] = {
        name: Sample(reading=each, read_at=NOW)
        for name, each in {**samples, "training": training}.items()
    }
    return assemble(Samples(**taken), Settings(), now=NOW, version=1)


def live(training: TrainingReading) -> LiveStatus:
    return views(training).live


# The time left of all queued files

HALF_DONE = {"eta_current_file_s": 100.0, "batch_step": 15, "batch_total_steps": 30}


@pytest.mark.parametrize(
    ("told", "waiting", "seconds"),
    [
        ({"eta_queued_s": 45_000.0, **HALF_DONE}, queues(high=5), 45_000),
        (HALF_DONE, queues(high=0, normal=0, low=0), 100),
        (HALF_DONE, queues(high=2, normal=1), 100 + 3 * 200),
        (
            HALF_DONE,
            queues(high=3, processing=1, pending_bytes=500, processing_bytes=1_000),
            100 + 0.5 * 200,
        ),
        (HALF_DONE, queues(high=3, processing=2, pending_bytes=5, processing_bytes=9), 700),
        ({**HALF_DONE, "batch_queue_size": 2}, queues(), 500),
        ({**HALF_DONE, "batch_queue_size": 2}, None, 500),
        (HALF_DONE, None, None),
        ({**HALF_DONE, "batch_step": 30, "eta_current_file_s": 0.0}, queues(high=1), None),
        ({**HALF_DONE, "batch_step": 30, "eta_current_file_s": 0.0}, queues(high=0), 0),
        ({**HALF_DONE, "batch_total_steps": None}, queues(high=1), None),
        ({**HALF_DONE, "eta_current_file_s": None}, queues(high=1), None),
    ],
)
def test_the_time_left_of_all_queued_files(
    told: dict[str, Any], waiting: QueuesReading | None, seconds: float | None
) -> None:
    assert queued_eta_s(reading(**told), waiting) == seconds


def test_a_time_left_that_was_worked_out_is_said_to_be() -> None:
    shown = live(reading(**HALF_DONE, batch_queue_size=1, eta_overall_s=9_000.0))
    assert (shown.eta_queued_s, shown.derived) == (300.0, ("eta_queued_s",))
    old = shown.model_dump()
    assert (old["eta_current_file"], old["eta_overall"]) == ("1m 40s", "5m 00s")
    told = live(reading(eta_queued_s=60.0))
    assert told.derived == ()
    steps_alone = live(reading(eta_overall_s=9_000.0)).model_dump()
    assert steps_alone["eta_overall"] == "2h 30m"


# Alerts

HOT = Alert("GPU hot", "critical", "gpu")


def test_alerts_of_the_trainer_are_shown_and_count_for_the_health() -> None:
    shown = live(reading(active_alerts=(HOT, Alert("slow"), Alert("fyi", "info"))))
    assert [(alert.message, alert.level) for alert in shown.alerts] == [
        ("GPU hot", "critical"),
        ("slow", "warning"),
        ("fyi", "unknown"),
    ]
    assert {"GPU hot", "slow"} <= set(shown.health_issues)
    assert "fyi" not in shown.health_issues
    assert shown.health == "critical"


@pytest.mark.parametrize(
    ("status", "is_shown"),
    [("training", True), ("paused", True), ("crashed", True), ("completed", False)],
)
def test_alerts_end_with_the_run_and_explain_a_crash(status: Any, is_shown: bool) -> None:
    assert bool(live(reading(status=status, active_alerts=(HOT,))).alerts) == is_shown


# Queues and the heatmap


def test_queues_of_the_status_count_where_nothing_else_tells_them() -> None:
    training = reading(
        jobs_pending={"preview": 3, "eval": 0, "training_high": 9}, last_preview_latency_ms=120.0
    )
    found = job_queues(queues(high=2), {}, None, training)
    assert (pending(found, "preview"), pending(found, "eval")) == (3, 0)
    assert pending(found, "training_high") == 2
    preview = next(queue for queue in found if queue.kind == "preview")
    assert (preview.machine, preview.last_latency_ms) == (TOLD_BY, 120.0)


def test_the_heatmap_of_the_status_stands_in() -> None:
    told = reading(pattern_heatmap=ToldHeatmap(("sum",), ("0-50",), ((0.5,),)))
    shown = views(told, previews=PreviewsReading(RecentSummary())).preview.pattern_heatmap
    assert (shown.rows, shown.cols, shown.data) == (("sum",), ("0-50",), ((0.5,),))


# Evaluations and snapshots


def evals(training: TrainingReading, *fixed: EvalRecord, **kept: Any) -> EvalStatus:
    return eval_status(
        EvalsReading(fixed=fixed),
        SnapshotsReading(**kept),
        training,
        Thresholds(),
        run_id="run",
        troubles=(),
        now=NOW,
    )


TOLD = reading(
    fixed_eval_em=0.8,
    fixed_eval_step=20,
    fixed_eval_timestamp=NOW - 60,
    fixed_eval_trend="declining",
    fixed_eval_domains={"sum": ToldEval(em=0.9)},
    micro_eval_loss=0.4,
    micro_eval_step=19,
    recent_snapshots=(ToldSnapshot("a", em=0.7), ToldSnapshot("b", em=0.8, is_best=True)),
)


def test_evaluations_of_the_status_stand_in_for_a_log() -> None:
    shown = evals(TOLD)
    assert (shown.fixed_eval_em, shown.fixed_eval_step, shown.age_s) == (0.8, 20, 60.0)
    assert shown.fixed_eval_trend == "declining"
    assert shown.domain_evals["sum"].em == 0.9
    assert (shown.micro_eval_loss, shown.micro_eval_step) == (0.4, 19)
    assert [(each.name, each.best) for each in shown.snapshots] == [("a", False), ("b", True)]


def test_a_told_history_says_more_than_a_told_word() -> None:
    history = (ToldEval(em=0.5, step=10), ToldEval(em=0.9, step=20), ToldEval(em=0.95))
    shown = evals(reading(fixed_eval_trend="declining", fixed_eval_history=history))
    assert shown.fixed_eval_trend == "improving"
    assert shown.fixed_eval_history == ((10, 0.5), (20, 0.9))


def test_a_log_comes_before_the_status() -> None:
    record = EvalRecord(ts=datetime(2026, 1, 1, tzinfo=UTC), step=5, kind="fixed", em=0.1)
    kept = (StoredWeights(name="c", em=0.3),)
    shown = evals(TOLD, record, snapshots=kept)
    assert (shown.fixed_eval_em, shown.fixed_eval_step) == (0.1, 5)
    assert shown.fixed_eval_trend == "unknown"
    assert [each.name for each in shown.snapshots] == ["c"]


def test_without_any_em_the_best_is_what_the_index_calls_so() -> None:
    checkpoints = [StoredWeights(name=f"checkpoint-{step}", step=step) for step in (1, 2, 3)]
    assert [each.name for each in stored(checkpoints, "checkpoint-2") if each.best] == [
        "checkpoint-2"
    ]
    snapshot = StoredWeights(name="2026-11-24", step=2, source="checkpoint-2")
    (shown,) = stored([snapshot], "checkpoint-2")
    assert shown.best
    old = shown.model_dump()
    assert (old["model_id"], old["tags"]) == ("checkpoint-2", ("best_so_far",))
    with_em = [StoredWeights(name="a", em=0.5), StoredWeights(name="b", em=0.4)]
    assert [each.name for each in stored(with_em, "b") if each.best] == ["a"]
