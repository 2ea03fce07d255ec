"""All previews that match, as a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from app.api.downloads import Download
from app.api.history import NOT_READY, FilterQuery, ready_cursor
from app.watch.monitor import Monitor
from control_room.history.export import csv_chunks, jsonl_chunks, parquet_chunks
from control_room.history.filters import PreviewFilter
from control_room.history.queries import Cursor

_Chunks = Callable[[Cursor, PreviewFilter], Iterator[bytes]]
FILES: dict[str, tuple[_Chunks, str]] = {
    "csv": (csv_chunks, "text/csv; charset=utf-8"),
    "jsonl": (jsonl_chunks, "application/x-ndjson"),
    "parquet": (parquet_chunks, "application/vnd.apache.parquet"),
}
_ABOUT_FILES = """\
All previews that match, oldest first, streamed; nothing is cut. An answer that cannot be brought to
its end breaks the connection off (curl: exit status 18), and the log of the app says why.\
"""
_ABOUT_CSV = """\
A text that a spreadsheet would run (it begins with `=`, `+`, `-`, `@`, a tab or a line end, or with
one of these after blanks or quotes) has an apostrophe in front, unless `raw=1`. Numbers are
untouched.\
"""


class CsvQuery(FilterQuery):
    """Which previews, and for whom."""

    raw: Annotated[
        bool,
        Query(
            description="For programs: texts as they were logged, without the apostrophe in front "
            "of those that a spreadsheet would run."
        ),
    ] = False


def routes(router: APIRouter, monitor: Monitor) -> None:
    """Add ``/api/preview/history.csv`` and its like."""
    for kind in FILES:
        router.add_api_route(
            f"/api/preview/history.{kind}",
            _csv_endpoint(monitor) if kind == "csv" else _file_endpoint(monitor, kind),
            methods=["GET"],
            name=f"preview history as {kind}",
            description=f"{_ABOUT_FILES} {_ABOUT_CSV if kind == 'csv' else ''}".strip(),
            response_class=StreamingResponse,
            responses={200: {"content": {FILES[kind][1].partition(";")[0]: {}}}, **NOT_READY},
            tags=["history"],
        )


def _file_endpoint(monitor: Monitor, kind: str) -> Callable[[FilterQuery], StreamingResponse]:
    def file(query: Annotated[FilterQuery, Query()]) -> StreamingResponse:
        return _file(monitor, kind, FILES[kind][0], query)

    return file


def _csv_endpoint(monitor: Monitor) -> Callable[[CsvQuery], StreamingResponse]:
    def file(query: Annotated[CsvQuery, Query()]) -> StreamingResponse:
        return _file(monitor, "csv", partial(csv_chunks, raw=query.raw), query)

    return file


def _file(monitor: Monitor, kind: str, chunks: _Chunks, query: FilterQuery) -> StreamingResponse:
    found = chunks(ready_cursor(monitor), query.filter())
    first = next(found, b"")  # what goes wrong at once is said by the status
    return Download(
        _all(first, found),
        what=f"previews.{kind}",
        media_type=FILES[kind][1],
        headers={"Content-Disposition": f'attachment; filename="previews.{kind}"'},
    )


def _all(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    del first
    yield from rest  # which is closed with this one
