"""Samples, series and the heatmap: what the charts are drawn from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from app.api.history import NOT_READY, Count, FilterQuery, Whole, ready_cursor
from app.api.wire import packed_json
from app.views.length_bins import bin_label
from app.watch.monitor import Monitor
from app.watch.reported_throughput import told_samples
from collectors.files.training.reported import ToldSample
from control_room.history import queries
from control_room.history.questions import aggregates
from control_room.recording.metrics import LOGGED

if TYPE_CHECKING:
    SeriesField = str
else:
    SeriesField = Literal[tuple(metric.name for metric in LOGGED)]


class ThroughputSampleView(BaseModel):
    """One sample of speed and memory; one of the trainer's status may lack its time or step."""

    timestamp: datetime | None
    step: int | None
    tokens_per_sec: float | None
    vram_used_gb: float | None
    vram_pct: float | None
    batch_size: int | None
    sequence_length: int | None


class ThroughputSamples(BaseModel):
    """The newest samples, newest first."""

    samples: list[ThroughputSampleView]
    count: int
    source: Literal["log", "status"]  # the throughput log, or without one the trainer's status


class SeriesPoint(BaseModel):
    """A logged value."""

    step: int
    value: float


class MetricSeries(BaseModel):
    """One metric over steps, thinned so that its lowest and highest points stay."""

    field: str
    points: list[SeriesPoint]  # in the order of logging
    total: int  # finite values in the range
    not_finite: int  # NaN and infinite ones, which no point shows


class HeatmapCellView(BaseModel):
    """EM (0-1) of one pattern and length, with its 95 % interval."""

    pattern: str
    length: str
    em: float
    em_low: float
    em_high: float
    correct: int
    count: int


class HeatmapView(BaseModel):
    """Every pattern and length that has scored previews."""

    cells: list[HeatmapCellView]


def _told(sample: ToldSample) -> ThroughputSampleView:
    names = [name for name in ThroughputSampleView.model_fields if name != "timestamp"]
    return ThroughputSampleView(
        timestamp=None if sample.at is None else datetime.fromtimestamp(sample.at, UTC),
        **{name: getattr(sample, name) for name in names},
    )


def routes(router: APIRouter, monitor: Monitor) -> None:
    """Add ``/api/throughput/…``, ``/api/metrics/…`` and ``/api/analytics/…``."""

    @router.get(
        "/api/throughput/samples",
        response_class=Response,
        responses={200: {"model": ThroughputSamples}, **NOT_READY},
        tags=["analytics"],
    )
    def throughput_samples(
        request: Request, limit: Annotated[int, Query(ge=1, le=10_000), Whole] = 100
    ) -> Response:
        """The newest throughput samples: of the log, or without one of the trainer's status."""
        if told := told_samples(monitor)[: -limit - 1 : -1]:
            samples = [_told(sample) for sample in told]
            view = ThroughputSamples(samples=samples, count=len(samples), source="status")
            return packed_json(request, view.model_dump_json().encode())
        rows = queries.newest_throughput(ready_cursor(monitor), limit=limit)
        samples = [
            ThroughputSampleView(
                timestamp=row.ts,
                **{
                    name: getattr(row, name)
                    for name in ThroughputSampleView.model_fields
                    if name != "timestamp"
                },
            )
            for row in rows
        ]
        view = ThroughputSamples(samples=samples, count=len(samples), source="log")
        return packed_json(request, view.model_dump_json().encode())

    @router.get(
        "/api/metrics/series",
        response_class=Response,
        responses={200: {"model": MetricSeries}, **NOT_READY},
        tags=["analytics"],
    )
    def metric_series(
        request: Request,
        field: SeriesField = "loss",
        points: Annotated[int, Query(ge=2, le=10_000), Whole] = 500,
        min_step: Count = None,
        max_step: Count = None,
    ) -> Response:
        """One metric over steps, thinned to at most ``points``; extremes are kept."""
        series = queries.metric_series(
            ready_cursor(monitor), field, points=points, min_step=min_step, max_step=max_step
        )
        view = MetricSeries(
            field=field,
            points=[SeriesPoint(step=step, value=value) for step, value in series.points],
            total=series.total,
            not_finite=series.not_finite,
        )
        return packed_json(request, view.model_dump_json().encode())

    @router.get(
        "/api/analytics/heatmap",
        response_class=Response,
        responses={200: {"model": HeatmapView}, **NOT_READY},
        tags=["analytics"],
    )
    def heatmap(request: Request, query: Annotated[FilterQuery, Query()]) -> Response:
        """EM by pattern and golden answer length."""
        edges = monitor.settings.heatmap.bin_edges
        cells = []
        for cell in aggregates.heatmap(ready_cursor(monitor), query.filter(), edges):
            rate = cell.rate
            assert rate.em is not None and rate.interval is not None  # no cell without previews
            cells.append(
                HeatmapCellView(
                    pattern=cell.pattern,
                    length=bin_label(edges, cell.low),
                    em=rate.em,
                    em_low=rate.interval[0],
                    em_high=rate.interval[1],
                    correct=rate.correct,
                    count=rate.count,
                )
            )
        return packed_json(request, HeatmapView(cells=cells).model_dump_json().encode())
