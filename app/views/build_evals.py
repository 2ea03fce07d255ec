"""Evaluations and kept checkpoints in, the eval view out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from app.settings import Thresholds
from app.views.health import gap_status
from app.views.models import DomainEval, EvalStatus, StoredCheckpoint
from collectors.files.evals import EvalsReading
from collectors.files.snapshots import SnapshotsReading, StoredWeights
from collectors.files.training import TrainingReading
from collectors.files.training.reported import ToldEval
from control_room.recording.records import EvalRecord
from control_room.statistics.intervals import wilson

Trend = Literal["improving", "stable", "declining", "unknown"]

TREND_MARGIN = 0.01  # of EM; less is called stable
_TREND_BEFORE = 3  # evaluations that the newest is compared with
_HISTORY_POINTS = 60
_LISTED = 10  # snapshots, and checkpoints


def eval_status(
    evals: EvalsReading | None,
    snapshots: SnapshotsReading | None,
    training: TrainingReading | None,
    thresholds: Thresholds,
    *,
    run_id: str,
    troubles: Sequence[str],
    now: float,
) -> EvalStatus:
    """The view of one tick. What the eval log does not tell is taken from the status file."""
    known = EvalsReading() if evals is None else evals
    kept = SnapshotsReading() if snapshots is None else snapshots
    gap = None if training is None else training.val_train_gap
    micro = known.micro
    return EvalStatus(
        run_id=run_id,
        **_fixed(known.fixed, training, now),
        fixed_eval_trend=_trend(known.fixed, training),
        fixed_eval_history=_history(known.fixed or _told_history(training)),
        domain_evals=_domains(known, training),
        micro_eval_loss=getattr(training, "micro_eval_loss", None) if micro is None else micro.loss,
        micro_eval_step=getattr(training, "micro_eval_step", None) if micro is None else micro.step,
        val_loss=None if training is None else training.val_loss,
        train_loss=None if training is None else training.train_loss,
        val_train_gap=gap,
        gap_status=gap_status(gap, thresholds),
        snapshots=stored(kept.snapshots, kept.best) or _told_snapshots(training),
        checkpoints=stored(kept.checkpoints, kept.best),
        problems=(*troubles, *known.problems, *((kept.problem,) if kept.problem else ())),
        timestamp=datetime.fromtimestamp(now, UTC),
    )


def fixed_eval_trend(ems: Sequence[float]) -> Trend:
    """The newest EM against the mean of up to three before it."""
    if len(ems) < 2:
        return "unknown"
    before = ems[-1 - _TREND_BEFORE : -1]
    change = ems[-1] - sum(before) / len(before)
    if abs(change) < TREND_MARGIN:
        return "stable"
    return "improving" if change > 0 else "declining"


def stored(
    weights: Sequence[StoredWeights], best_name: str | None = None
) -> tuple[StoredCheckpoint, ...]:
    """The newest, newest first, and the best of all, marked.

    Where no EM is known, the best is that of the index: ``best_name``, or a snapshot of it.
    """
    newest_first = sorted(weights, key=lambda each: each.step or 0, reverse=True)
    best = max((w for w in newest_first if w.em is not None), key=_em, default=None)
    if best is None and best_name is not None:
        best = next((w for w in newest_first if best_name in (w.name, w.source)), None)
    listed = newest_first[:_LISTED]
    if best is not None and best not in listed:
        listed = [*listed[:-1], best]
    return tuple(
        StoredCheckpoint(
            name=each.name,
            date=None if each.created_at is None else each.created_at.date(),
            step=each.step,
            em=each.em,
            ce=each.ce,
            loss=each.loss,
            size_gb=each.size_gb,
            protected=each.protected,
            best=each is best,
            model_id=each.source or each.name,
            fixed_eval_em=each.em,
            tags=("best_so_far",) if each is best else (),
        )
        for each in listed
    )


def _told_snapshots(training: TrainingReading | None) -> tuple[StoredCheckpoint, ...]:
    """Those of the status, newest first."""
    told = () if training is None else training.recent_snapshots
    newest_first = sorted(told, key=lambda each: str(each.date or ""), reverse=True)
    return tuple(
        StoredCheckpoint(
            name=each.name,
            date=each.date,
            step=each.step,
            em=each.em,
            best=each.is_best,
            model_id=each.name,
            fixed_eval_em=each.em,
            tags=("best_so_far",) if each.is_best else (),
        )
        for each in newest_first[:_LISTED]
    )


def _trend(fixed: Sequence[EvalRecord], training: TrainingReading | None) -> Trend:
    """Worked out where there is a history, else the trainer's word."""
    points = [each.em for each in fixed or _told_history(training) if each.em is not None]
    worked_out = fixed_eval_trend(points)
    if fixed or worked_out != "unknown" or training is None:
        return worked_out
    return training.fixed_eval_trend or "unknown"


def _told_history(training: TrainingReading | None) -> Sequence[ToldEval]:
    return () if training is None else training.fixed_eval_history


def _domains(known: EvalsReading, training: TrainingReading | None) -> dict[str, DomainEval]:
    told: Mapping[str, EvalRecord | ToldEval] = known.domains
    if not told and training is not None:
        told = training.fixed_eval_domains
    return {
        name: DomainEval(em=each.em, ce=each.ce, ece=each.ece, count=each.count, step=each.step)
        for name, each in sorted(told.items())
    }


def _fixed(
    fixed: Sequence[EvalRecord], training: TrainingReading | None, now: float
) -> dict[str, Any]:
    if not fixed:
        if training is None:
            return {}
        names = ("fixed_eval_em", "fixed_eval_ce", "fixed_eval_ece", "fixed_eval_step")
        at = training.fixed_eval_timestamp
        return {name: getattr(training, name) for name in names} | {
            "fixed_eval_timestamp": None if at is None else datetime.fromtimestamp(at, UTC),
            "age_s": None if at is None else max(0.0, now - at),
        }
    newest = fixed[-1]
    assert newest.ts is not None  # a record that was read has one
    interval = None
    if newest.em is not None and newest.count:
        interval = wilson(round(newest.em * newest.count), newest.count)
    return {
        "fixed_eval_em": newest.em,
        "fixed_eval_interval": interval,
        "fixed_eval_count": newest.count,
        "fixed_eval_ce": newest.ce,
        "fixed_eval_ece": newest.ece,
        "fixed_eval_step": newest.step,
        "fixed_eval_timestamp": newest.ts,
        "age_s": max(0.0, now - newest.ts.timestamp()),
    }


def _history(fixed: Sequence[EvalRecord | ToldEval]) -> tuple[tuple[int, float], ...]:
    points = [(r.step, r.em) for r in fixed if r.em is not None and r.step is not None]
    every = -(-len(points) // _HISTORY_POINTS) or 1
    return tuple(reversed(points[::-1][::every]))  # thinned from the newest back


def _em(weights: StoredWeights) -> float:
    return -1.0 if weights.em is None else weights.em
