"""For those who run the app: is it well, and what does Prometheus read."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector
from prometheus_client.exposition import generate_latest
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from app.api.prometheus import ViewCollector
from app.api.wire import packed_json
from app.monitor import Monitor

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
    """Add ``/health`` and ``/metrics``."""

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
