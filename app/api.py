"""The JSON and file routes, under ``/api``: the same truth as the pages show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse

from app.history import HistoryNotReady
from app.monitor import Monitor
from app.preview_filter import from_query
from control_room.history.export import csv_chunks, parquet_chunks
from control_room.history.filters import PreviewFilter
from control_room.history.queries import Cursor

_Chunks = Callable[[Cursor, PreviewFilter], Iterator[bytes]]


def create_api(monitor: Monitor) -> FastAPI:
    """The API over a Monitor, to be mounted at ``/api``."""
    # No interactive documentation: its page loads scripts from elsewhere.
    api = FastAPI(title="Control Room", docs_url=None, redoc_url=None)

    @api.get("/history/previews.csv", response_class=StreamingResponse)
    def previews_csv(wanted: Annotated[PreviewFilter, Depends(_wanted)]) -> StreamingResponse:
        """All previews that match the filter, oldest first, as CSV."""
        return _file(monitor, wanted, csv_chunks, "previews.csv", "text/csv; charset=utf-8")

    @api.get("/history/previews.parquet", response_class=StreamingResponse)
    def previews_parquet(wanted: Annotated[PreviewFilter, Depends(_wanted)]) -> StreamingResponse:
        """All previews that match the filter, oldest first, as Parquet."""
        media_type = "application/vnd.apache.parquet"
        return _file(monitor, wanted, parquet_chunks, "previews.parquet", media_type)

    return api


def _wanted(request: Request) -> PreviewFilter:
    """The filter in the address. Unlike a page's, an API's must be right: 422 says what is not."""
    names = [name for name, _ in request.query_params.multi_items()]
    wanted, ignored = from_query(request.query_params)
    ignored += [f"{name} is given more than once." for name in set(names) if names.count(name) > 1]
    if ignored:
        raise HTTPException(422, " ".join(ignored))
    return wanted


def _file(
    monitor: Monitor, wanted: PreviewFilter, chunks: _Chunks, name: str, media_type: str
) -> StreamingResponse:
    try:
        cursor = monitor.history.cursor()
    except HistoryNotReady as reason:
        raise HTTPException(503, str(reason), headers={"Retry-After": "1"}) from None
    return StreamingResponse(
        chunks(cursor, wanted),
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
