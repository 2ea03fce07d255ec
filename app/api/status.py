"""The four status views, served as the bytes that the last tick made ready."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from app.api.wire import if_changed
from app.views.models import EvalStatus, LiveStatus, PreviewStatus, SystemStatus
from app.watch.monitor import Monitor

_VIEWS: tuple[tuple[str, type[BaseModel], str], ...] = (
    ("live", LiveStatus, "Is the run healthy? State, progress, loss, throughput, machines."),
    ("preview", PreviewStatus, "What has it learned? The newest preview and how the last went."),
    ("evals", EvalStatus, "Evaluations of sets that do not change, and what is kept on disk."),
    ("system", SystemStatus, "Machines and job queues."),
)


def _old(about: str, *, alias: str | None = None) -> Any:
    return Field(default=None, alias=alias, deprecated=True, description=about)


class StatusQuery(BaseModel):
    """What may be asked of a status view."""

    model_config = ConfigDict(extra="forbid")

    cache_buster: str | None = _old("Ignored: no answer is taken from a cache.", alias="_")


_TABLE = "Of the history: answered by a redirect to `/api/preview/history`."


class PreviewStatusQuery(StatusQuery):
    """The daemon trainer's page asks the preview view for its table of the history."""

    limit: str | None = _old(_TABLE)
    offset: str | None = _old(_TABLE)
    regime: str | None = _old(_TABLE)
    source: str | None = _old(_TABLE)
    exact_match: str | None = _old(_TABLE, alias="exactMatch")


def routes(router: APIRouter, monitor: Monitor) -> None:
    """Add ``/api/status/…``. No request reads a file, a GPU or the database."""
    for name, model, about in _VIEWS:
        router.add_api_route(
            f"/api/status/{name}",
            _preview_endpoint(monitor) if name == "preview" else _endpoint(monitor, name),
            methods=["GET"],
            name=name,
            description=about,
            response_class=Response,
            responses={
                200: {"model": model, "description": "The view of the last tick."},
                304: {"description": "Nothing has changed since the ETag in If-None-Match."},
                **(_REDIRECT if name == "preview" else {}),
            },
            tags=["status"],
        )


_REDIRECT: dict[int | str, dict[str, Any]] = {
    307: {"description": "A table is asked for: `/api/preview/history` has it."}
}


def _endpoint(monitor: Monitor, name: str) -> Any:
    async def status(request: Request, query: Annotated[StatusQuery, Query()]) -> Response:
        return if_changed(request, monitor.ready[name])

    return status


def _preview_endpoint(monitor: Monitor) -> Any:
    async def status(request: Request, query: Annotated[PreviewStatusQuery, Query()]) -> Response:
        asked = {name: value for name, value in request.query_params.items() if name != "_"}
        if asked:
            return RedirectResponse(f"/api/preview/history?{urlencode(asked)}")
        return if_changed(request, monitor.ready["preview"])

    return status
