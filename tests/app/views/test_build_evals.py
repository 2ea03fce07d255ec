"""Evaluations as the view tells them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from scipy.stats import binomtest

from app.settings import Thresholds
from app.views.build_evals import eval_status, fixed_eval_trend, stored
from app.views.models import EvalStatus
from collectors.files.evals import EvalsReading
from collectors.files.snapshots import StoredWeights
from control_room import EvalRecord

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def view(*fixed: EvalRecord) -> EvalStatus:
    return eval_status(
        EvalsReading(fixed=fixed),
        None,
        None,
        Thresholds(),
        run_id="run",
        troubles=(),
        now=NOW.timestamp(),
    )


def record(step: int, em: float | None, count: int | None = None) -> EvalRecord:
    return EvalRecord(
        ts=datetime(2026, 1, 1, tzinfo=UTC), step=step, kind="fixed", em=em, count=count
    )


@pytest.mark.parametrize(
    ("ems", "trend"),
    [
        ([], "unknown"),
        ([0.5], "unknown"),
        ([0.5, 0.505], "stable"),
        ([0.5, 0.6], "improving"),
        ([0.9, 0.6], "declining"),
        ([0.1, 0.9, 0.9, 0.9, 0.9], "stable"),
    ],
)
def test_the_newest_is_compared_with_up_to_three_before(ems: list[float], trend: str) -> None:
    assert fixed_eval_trend(ems) == trend


def test_an_interval_is_told_where_the_count_is_known() -> None:
    reference = binomtest(30, 40).proportion_ci(0.95, method="wilson")
    assert view(record(1, 0.75, 40)).fixed_eval_interval == pytest.approx(
        tuple(reference), abs=1e-9
    )
    assert view(record(1, 0.75)).fixed_eval_interval is None


def test_nothing_known_is_nothing_told() -> None:
    nothing = view()
    assert nothing.fixed_eval_em is None
    assert nothing.fixed_eval_trend == "unknown"
    assert (nothing.snapshots, nothing.domain_evals) == ((), {})


def test_a_long_history_is_thinned_and_ends_with_the_newest() -> None:
    history = view(*(record(step, step / 1_000) for step in range(1_000))).fixed_eval_history
    assert 30 <= len(history) <= 60
    assert history[-1] == (999, 0.999)


def test_the_best_is_listed_though_it_is_old() -> None:
    weights = [StoredWeights(name=f"s{i}", step=i, em=0.9 if i == 0 else 0.5) for i in range(50)]
    listed = stored(weights)
    assert [each.step for each in listed[:2]] == [49, 48]
    assert [each.name for each in listed if each.best] == ["s0"]


def test_without_metrics_none_is_best() -> None:
    assert not any(each.best for each in stored([StoredWeights(name="a"), StoredWeights(name="b")]))
