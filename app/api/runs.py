"""All runs side by side: how far each is, what came of it, and its curves."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, HTTPException, Query, Request, Response

from app.api.answers import answered, described, model_of
from app.api.history import Whole, ready_cursor
from app.watch.monitor import Monitor
from app.watch.run_table import RunSummary, differing
from app.watch.runs import Runs
from control_room.history.queries import Cursor, metric_series
from control_room.history.questions.evaluations import evaluations
from control_room.recording.metrics import METRICS

Setting: TypeAlias = str | bool | int | float | None
_EXACT_MATCH = "exact_match"

if TYPE_CHECKING:
    CurveName = str
else:
    CurveName = Literal[(*(metric.name for metric in METRICS if metric.curve), _EXACT_MATCH)]


@dataclass(frozen=True, slots=True)
class RunExactMatch:
    """EM from 0 to 1: of the newest evaluation of the fixed set, else of the newest previews.

    `text` says which, or why it is not known.
    """

    value: float | None
    kind: Literal["fixed set", "previews"]
    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """What the status file of a run says, its EM, and its settings (`config`) by name.

    A setting that is neither text, number nor truth value is JSON in a text. `problem` says why
    nothing is known of the run.
    """

    name: str
    status: str | None
    model_name: str | None
    current_step: int | None
    total_steps: int | None
    loss: float | None
    val_loss: float | None
    exact_match: RunExactMatch | None
    written_at: datetime | None
    config: dict[str, Setting]
    problem: str | None


@dataclass(frozen=True, slots=True)
class RunsTable:
    """The run that the app was started for, then the others by their directories; of `total`.

    `differing_settings` are those in which the runs differ, a missing one included.
    """

    runs: list[Run]
    total: int
    differing_settings: list[str]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A value at a step."""

    step: int
    value: float


@dataclass(frozen=True, slots=True)
class RunCurve:
    """One curve of a run, thinned; `total` values were logged."""

    run: str
    curve: CurveName
    points: list[CurvePoint]
    total: int


def routes(router: APIRouter, monitor: Monitor) -> None:
    """Add ``/api/runs`` and ``/api/runs/curve``."""

    @router.get(
        "/api/runs",
        name="runs",
        response_class=Response,
        responses={200: {"model": model_of(RunsTable)}},
        tags=["runs"],
    )
    def all_runs(
        request: Request, limit: Annotated[int, Query(ge=1, le=1_000), Whole] = 100
    ) -> Response:
        """Every run that the settings name: status, steps, losses, exact match and settings."""
        runs: Runs = request.app.state.runs
        every = runs.table.summaries()
        summaries = every[:limit]
        differ = differing(summaries) if len(summaries) > 1 else []
        table = RunsTable([_run(each) for each in summaries], len(every), differ)
        return answered(request, table)

    @router.get(
        "/api/runs/curve",
        **described(RunCurve, {404: {"description": "There is no such run."}}),
        tags=["runs"],
    )
    def run_curve(
        request: Request,
        run: Annotated[
            str | None, Query(description="Its name; without one, that the app was started for.")
        ] = None,
        curve: CurveName = "loss",
        points: Annotated[int, Query(ge=2, le=10_000), Whole] = 500,
    ) -> Response:
        """One metric of any run over its steps, or the exact match of its fixed set."""
        runs: Runs = request.app.state.runs
        name = next(iter(runs.directories())) if run is None else run
        if name not in runs.directories():
            raise HTTPException(404, f"There is no run {name!r}; /api/runs lists them.")
        values, total = _curve(ready_cursor(runs.monitor(name)), curve, points)
        return answered(request, RunCurve(name, curve, values, total))


def _run(summary: RunSummary) -> Run:
    values, em = summary.values, summary.em
    return Run(
        name=summary.name,
        status=summary.status,
        model_name=values.get("model_name"),
        current_step=values.get("current_step"),
        total_steps=values.get("total_steps"),
        loss=values.get("loss"),
        val_loss=values.get("val_loss"),
        exact_match=None if em is None else RunExactMatch(em.em, em.kind, em.said),
        written_at=_moment(summary.written_at),
        config=_settings(summary.config),
        problem=summary.problem,
    )


def _moment(epoch_s: float | None) -> datetime | None:
    return None if epoch_s is None else datetime.fromtimestamp(epoch_s, UTC)


def _settings(config: Mapping[str, Any]) -> dict[str, Setting]:
    return {name: _setting(value) for name, value in config.items()}


def _setting(value: object) -> Setting:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, bool, int)):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _curve(cursor: Cursor, curve: CurveName, points: int) -> tuple[list[CurvePoint], int]:
    if curve != _EXACT_MATCH:
        series = metric_series(cursor, curve, points=points)
        return [CurvePoint(*point) for point in series.points], series.total
    whole = [each for each in evaluations(cursor, most=points) if each.domain is None]
    measured = [CurvePoint(each.step, each.em) for each in whole if each.em is not None]
    thinned_out = whole[0].all_of - len(whole) if whole else 0
    return measured, len(measured) + thinned_out
