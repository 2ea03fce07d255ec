"""For those who run the app: is it well, and what does Prometheus read."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector
from prometheus_client.exposition import generate_latest
from starlette.concurrency import run_in_threadpool

from app.api.prometheus import ViewCollector
from app.api.wire import packed_json
from app.watch.app_health import Health, app_health
from app.watch.monitor import Monitor


def routes(router: APIRouter, monitor: Monitor) -> None:
    """Add ``/health`` and ``/metrics``."""

    @router.get(
        "/health",
        response_class=Response,
        responses={200: {"model": Health}, 503: {"model": Health}},
        tags=["operations"],
    )
    async def health(request: Request) -> Response:
        """Is the app well? 503, and why, when it does not sample or build views any more, when a
        source hangs, or when the history, once somebody asked for it, has been failing."""
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
