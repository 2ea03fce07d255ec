"""The four status views, served as the bytes that the last tick made ready."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from app.api.wire import if_changed
from app.monitor import Monitor
from app.views import EvalStatus, LiveStatus, PreviewStatus, SystemStatus

_VIEWS: tuple[tuple[str, type[BaseModel], str], ...] = (
    ("live", LiveStatus, "Is the run healthy? State, progress, loss, throughput, machines."),
    ("preview", PreviewStatus, "What has it learned? The newest preview and how the last went."),
    ("evals", EvalStatus, "Evaluations of sets that do not change, and what is kept on disk."),
    ("system", SystemStatus, "Machines and job queues."),
)


CacheBuster = Annotated[
    str | None,
    Query(alias="_", deprecated=True, description="Ignored: no answer is taken from a cache."),
]


def status_routes(router: APIRouter, monitor: Monitor) -> None:
    """Add ``/api/status/…``. No request reads a file, a GPU or the database."""
    for name, model, about in _VIEWS:
        router.add_api_route(
            f"/api/status/{name}",
            _endpoint(monitor, name),
            methods=["GET"],
            name=f"{name} status",
            description=about,
            response_class=Response,
            responses={
                200: {"model": model, "description": "The view of the last tick."},
                304: {"description": "Nothing has changed since the ETag in If-None-Match."},
            },
            tags=["status"],
        )


def _endpoint(monitor: Monitor, name: str) -> Any:
    async def status(request: Request, cache_buster: CacheBuster = None) -> Response:
        return if_changed(request, monitor.ready[name])

    return status
