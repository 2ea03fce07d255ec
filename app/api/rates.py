"""What the charts of exact match, failures and throughput are drawn from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from app.api.answers import answered, described
from app.api.history import FilterQuery, Whole, ready_cursor
from app.watch.monitor import Monitor
from control_room.history.questions import aggregates
from control_room.history.questions.aggregates import (
    BinRate,
    FailureShare,
    Statistics,
    StepRate,
    ThroughputPoint,
    ThroughputSetting,
)

Bins = Annotated[int, Query(ge=1, le=1_000), Whole]


@dataclass(frozen=True, slots=True)
class RatesOverSteps:
    """EM of each group over equal stretches of steps, oldest first."""

    rates: list[StepRate]


@dataclass(frozen=True, slots=True)
class Failures:
    """Failures by mode over equal stretches of steps; in each, the most frequent first."""

    shares: list[FailureShare]


@dataclass(frozen=True, slots=True)
class RateCurve:
    """EM in bins of the lengths of answers (tokens), or of CE (nats per token)."""

    by: Literal["answer_length", "ce"]
    bins: list[BinRate]


@dataclass(frozen=True, slots=True)
class Throughput:
    """Samples of the log, oldest first, thinned, of `total`; and what each setting gave."""

    points: list[ThroughputPoint]
    total: int
    settings: list[ThroughputSetting]


class RatesOverStepsQuery(FilterQuery):
    """Which previews, in which groups and how many stretches."""

    group: Literal["regime", "source_pool", "dataset_id", "pattern"] = "regime"
    bins: Bins = 40
    limit: Annotated[
        int, Query(ge=1, le=1_000, description="Most groups: those with most previews."), Whole
    ] = 100


class FailuresQuery(FilterQuery):
    """Which previews, and in how many stretches."""

    bins: Bins = 1


class RateCurveQuery(FilterQuery):
    """Which previews, by what."""

    by: Literal["answer_length", "ce"] = "answer_length"


def routes(router: APIRouter, monitor: Monitor) -> None:
    """Add ``/api/analytics/…`` beside the heatmap, and ``/api/throughput``."""

    @router.get("/api/analytics/rates", **described(Statistics), tags=["analytics"])
    def rates(request: Request, query: Annotated[FilterQuery, Query()]) -> Response:
        """Exact match over all that match, by regime and by source, with intervals."""
        return answered(request, aggregates.statistics(ready_cursor(monitor), query.filter()))

    @router.get("/api/analytics/steps", **described(RatesOverSteps), tags=["analytics"])
    def rates_over_steps(
        request: Request, query: Annotated[RatesOverStepsQuery, Query()]
    ) -> Response:
        """Exact match over the steps, by group."""
        over_steps = aggregates.em_over_steps(
            ready_cursor(monitor), query.filter(), group=query.group, bins=query.bins
        )
        return answered(request, RatesOverSteps(_largest_groups(over_steps, query.limit)))

    @router.get("/api/analytics/failures", **described(Failures), tags=["analytics"])
    def failures(request: Request, query: Annotated[FailuresQuery, Query()]) -> Response:
        """How answers fail: all of them together, or over the steps."""
        shares = aggregates.failure_modes(ready_cursor(monitor), query.filter(), bins=query.bins)
        return answered(request, Failures(shares))

    @router.get("/api/analytics/curve", **described(RateCurve), tags=["analytics"])
    def rate_curve(request: Request, query: Annotated[RateCurveQuery, Query()]) -> Response:
        """Exact match by the length of the answer, or by the CE of the golden one."""
        curve = (
            aggregates.em_by_answer_length if query.by == "answer_length" else aggregates.em_by_ce
        )
        bins = curve(ready_cursor(monitor), query.filter())
        return answered(request, RateCurve(query.by, bins))

    @router.get("/api/throughput", **described(Throughput), tags=["analytics"])
    def throughput(
        request: Request, points: Annotated[int, Query(ge=2, le=10_000), Whole] = 2_000
    ) -> Response:
        """Speed and memory over the run, and by batch size and sequence length."""
        cursor = ready_cursor(monitor)
        samples = aggregates.throughput_points(cursor, limit=points)
        settings = aggregates.throughput_settings(cursor)
        return answered(request, Throughput(list(samples.drawn), samples.total, settings))


def _largest_groups(rates: list[StepRate], limit: int) -> list[StepRate]:
    counts: Counter[str] = Counter()
    for each in rates:
        counts[each.group] += each.rate.count
    shown = {group for group, _ in counts.most_common(limit)}
    return [each for each in rates if each.group in shown]
