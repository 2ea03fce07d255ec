"""For those who run the app: is it well, what does Prometheus read, what did the old UI read."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector
from prometheus_client.exposition import generate_latest
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from app.api.prometheus import ViewCollector
from app.api.wire import packed_json
from app.monitor import Monitor
from app.views import LiveStatus

# The views are built at least once a second; older than this, something hangs.
STALE_AFTER_S = 10.0


class SourceHealth(BaseModel):
    """One source of readings."""

    age_s: float | None  # None: not read yet
    error: str | None


class Health(BaseModel):
    """Whether the app itself is well; the run may be in any state."""

    status: Literal["ok", "failing"]
    sampler_alive: bool
    views_age_s: float
    history: Literal["not opened", "reading", "ready"]
    sources: dict[str, SourceHealth]


def operations_routes(router: APIRouter, monitor: Monitor) -> None:
    """Add ``/health``, ``/metrics`` and ``/status/training_status.json``."""

    @router.get(
        "/health",
        response_class=Response,
        responses={200: {"model": Health}, 503: {"model": Health}},
        tags=["operations"],
    )
    async def health(request: Request) -> Response:
        """Is the app well? 503 when it does not sample or build views any more."""
        view = app_health(monitor)
        answer = packed_json(request, view.model_dump_json().encode())
        answer.status_code = 200 if view.status == "ok" else 503
        return answer

    registry = CollectorRegistry()
    registry.register(ViewCollector(monitor))
    ProcessCollector(registry=registry)

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}},
        tags=["operations"],
    )
    async def metrics() -> Response:
        """Everything that is measured, in the Prometheus text format."""
        text = await run_in_threadpool(generate_latest, registry)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    @router.get(
        "/status/training_status.json",
        response_class=Response,
        responses={200: {"content": {"application/json": {}}}, 404: {"description": "No status."}},
        tags=["operations"],
    )
    async def training_status(request: Request) -> Response:
        """The training status under the names that the specification's older UI reads."""
        sample = monitor.sources["training"]
        if sample.reading is None or monitor.views.live.status is None:
            raise HTTPException(404, "No training status has been written in this run yet.")
        old = OldStatus(**old_status(monitor.views.live, sample.reading.raw_status))
        return packed_json(request, old.model_dump_json().encode())


class OldStatus(BaseModel, extra="allow"):
    """What the older UI reads: the known fields and whatever else the trainer wrote."""


def old_status(live: LiveStatus, rest: Any) -> dict[str, Any]:
    """The live view under the old names, over what the trainer wrote besides."""
    names = {
        *("status", "current_step", "total_steps", "epoch", "loss", "streaming_ce", "loss_trend"),
        *("loss_variance", "learning_rate", "val_train_gap", "tokens_per_sec"),
        *("tokens_per_sec_avg", "tokens_per_sec_baseline", "throughput_trend", "batch_step"),
        *("batch_total_steps", "batch_number", "batch_queue_size", "current_file"),
        *("error_message", "error_type"),
    }
    return {
        **rest,
        **{name: getattr(live, name) for name in names},
        "validation_loss": live.val_loss,
        "model_name": live.current_model_name,
        "eta_seconds": live.eta_overall_s,
        "timestamp": live.timestamp,
    }


def app_health(monitor: Monitor) -> Health:
    """How the app is now."""
    alive, age_s = monitor.alive(), monitor.tick_age_s
    now = monitor.views.live.timestamp.timestamp()
    return Health(
        status="ok" if alive and age_s < STALE_AFTER_S else "failing",
        sampler_alive=alive,
        views_age_s=round(age_s, 3),
        history=monitor.history.state,
        sources={
            name: SourceHealth(age_s=sample.age_s(now), error=sample.error)
            for name, sample in sorted(monitor.sources.items())
        },
    )
