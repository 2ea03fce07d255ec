"""Evaluations over the steps, where the run begins to overfit, and the weights that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.api.answers import answered, described, model_of
from app.api.history import Whole, ready_cursor
from app.views.best_weights import best_by_metric
from app.watch.monitor import Monitor
from collectors.files.snapshots import SnapshotsReading, StoredWeights
from control_room.history.questions.evaluations import Evaluation, evaluations, gap_points
from control_room.statistics.overfitting import GapPoint, overfitting_onset

Points = Annotated[int, Query(ge=2, le=10_000), Whole]


@dataclass(frozen=True, slots=True)
class EvaluationsOverSteps:
    """By domain and step, the whole set (`domain` null) first; `domains` are evaluated."""

    evaluations: list[Evaluation]
    domains: int


@dataclass(frozen=True, slots=True)
class Overfitting:
    """Validation against training loss, in nats, by step; `total` evaluations have both.

    `onset_step` is the step from which the run overfits; null where it does not.
    """

    onset_step: int | None
    points: list[GapPoint]
    total: int


@dataclass(frozen=True, slots=True)
class KeptWeights:
    """What the retention index lists, newest first, and the name of the best by each metric.

    Of the checkpoints that are neither protected nor kept until a time, the `keep_newest` newest
    stay.
    """

    checkpoints: list[StoredWeights]
    snapshots: list[StoredWeights]
    keep_newest: int | None
    best_by: dict[str, str]
    problem: str | None


def routes(router: APIRouter, monitor: Monitor) -> None:
    """Add ``/api/evals``, ``/api/evals/overfitting`` and ``/api/evals/kept``."""

    @router.get(
        "/api/evals", name="evaluations", **described(EvaluationsOverSteps), tags=["analysis"]
    )
    def evaluations_over_steps(
        request: Request,
        points: Annotated[Points, Query(description="Most of the set and of each domain.")] = 400,
        limit: Annotated[int, Query(ge=0, le=1_000, description="Most domains."), Whole] = 100,
    ) -> Response:
        """EM, CE and ECE of the fixed set and of its domains, over the steps."""
        every = evaluations(ready_cursor(monitor), most=points)
        domains = list(dict.fromkeys(each.domain for each in every if each.domain is not None))
        shown = {None, *domains[:limit]}
        answer = EvaluationsOverSteps([e for e in every if e.domain in shown], len(domains))
        return answered(request, answer)

    @router.get("/api/evals/overfitting", **described(Overfitting), tags=["analysis"])
    def overfitting(request: Request, points: Points = 400) -> Response:
        """Does the validation loss rise while the training loss goes on falling?"""
        every = gap_points(ready_cursor(monitor))
        answer = Overfitting(overfitting_onset(every), _thinned(every, points), len(every))
        return answered(request, answer)

    @router.get(
        "/api/evals/kept",
        response_class=Response,
        responses={200: {"model": model_of(KeptWeights)}},
        tags=["analysis"],
    )
    def kept_weights(
        request: Request, limit: Annotated[int, Query(ge=1, le=10_000), Whole] = 1_000
    ) -> Response:
        """Checkpoints and snapshots on disk: how good, how large, and kept for how long."""
        reading: SnapshotsReading = monitor.sources["snapshots"].reading or SnapshotsReading()
        answer = KeptWeights(
            checkpoints=_newest(reading.checkpoints, limit),
            snapshots=_newest(reading.snapshots, limit),
            keep_newest=reading.keep_newest,
            best_by=best_by_metric((*reading.checkpoints, *reading.snapshots)),
            problem=reading.problem,
        )
        return answered(request, answer)


def _newest(weights: Sequence[StoredWeights], limit: int) -> list[StoredWeights]:
    return sorted(weights, key=lambda each: each.step or 0, reverse=True)[:limit]


def _thinned(points: Sequence[GapPoint], most: int) -> list[GapPoint]:
    """Every n-th, and the newest."""
    stride = -(-len(points) // most) or 1
    return list(points[::-1][::stride][::-1])
