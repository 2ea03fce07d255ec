"""The preview history: pages of it, all of it as a file, and one preview."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import StreamingResponse
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    create_model,
)

from app.api.wire import packed_json
from app.monitor import Monitor
from app.preview_fields import preview_fields
from app.preview_filter import moment
from app.views import Preview
from control_room.history import queries
from control_room.history.export import csv_chunks, jsonl_chunks, parquet_chunks
from control_room.history.filters import PreviewFilter
from control_room.history.queries import Cursor, PreviewRow

_Chunks = Callable[[Cursor, PreviewFilter], Iterator[bytes]]
_OPENING_S = 5.0  # of a small history; a request had better wait than be told to come again
_LARGEST = 2**63 - 1  # what a column of the history holds


def _whole(value: object) -> object:
    """Digits alone: pydantic would take "1.0" and "1_000" as well."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise ValueError("expected digits")
    return value


Whole = BeforeValidator(_whole)
Count = Annotated[int | None, Query(ge=0, le=_LARGEST), Whole]


def _moment(value: object, info: ValidationInfo) -> object:
    return moment(str(info.field_name), value) if isinstance(value, str) else value


def _older(name: str, newer: str) -> Any:
    """A parameter that pages of the specification know by another name."""
    about = f"Use {newer}, which counts where both are given."
    return Query(alias=name, deprecated=True, description=about)


Moment = Annotated[datetime, BeforeValidator(_moment)]
FILES: dict[str, tuple[_Chunks, str]] = {
    "csv": (csv_chunks, "text/csv; charset=utf-8"),
    "jsonl": (jsonl_chunks, "application/x-ndjson"),
    "parquet": (parquet_chunks, "application/vnd.apache.parquet"),
}
NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"description": "The history is being read, or nothing has been logged."}
}


class FilterQuery(BaseModel):
    """Which previews; both ends of a range are included.

    A time without an offset is in the server's zone, and a day alone means all of it.
    """

    model_config = ConfigDict(extra="forbid")

    regime: str | None = None
    source_pool: str | None = None
    exact_match: bool | None = None
    normalized_match: bool | None = None
    failure_mode: str | None = None
    dataset_id: str | None = None
    pattern: str | None = None
    checkpoint_id: str | None = None
    example_id: str | None = None
    min_length: Count = None
    below_length: Count = None
    length_known: bool | None = None
    min_step: Count = None
    max_step: Count = None
    since: Moment | None = None
    until: Moment | None = None
    q: Annotated[
        str | None, Query(description="Text in prompt or answers, in any case.", examples=["sum"])
    ] = None
    old_source: Annotated[str | None, _older("source", "source_pool")] = None
    old_exact_match: Annotated[bool | None, _older("exactMatch", "exact_match")] = None

    def filter(self) -> PreviewFilter:
        """The condition. An empty text asks for nothing."""
        given = {
            name: value
            for name in FilterQuery.model_fields
            if (value := getattr(self, name)) not in (None, "")
        }
        for asked, meant in _OTHER_NAMES.items():
            if asked in given:
                given.setdefault(meant, given.pop(asked))
        return PreviewFilter(**given)


if TYPE_CHECKING:
    _Whole = Preview
else:
    # An answer may leave any of them out, whether or not every preview has it.
    _Whole = create_model(
        "_Whole",
        **{
            name: (kind, Field(default_factory=lambda: None))
            for name, (kind, _) in preview_fields(lists=True).items()
        },
    )


class LoggedPreview(_Whole):
    """A preview of the history; ``id`` is its day and line in the logs.

    `fields` chooses what an answer holds; lists of numbers are left out unless it names them.
    """

    id: str


WITHOUT_ASKING = "*"
_FIELD = f" *({'|'.join(LoggedPreview.model_fields)}|\\*) *"


def chosen_fields(text: str) -> tuple[str, ...]:
    """The names that ``fields=`` asks for, ``id`` always among them.

    Raises ``ValueError`` naming those that are none.
    """
    known = tuple(LoggedPreview.model_fields)
    asked = [name.strip(" ") for name in text.split(",")]
    if unknown := [name for name in asked if name not in (*known, WITHOUT_ASKING)]:
        raise ValueError(
            f"there is no field {', '.join(map(repr, unknown))}; there are {', '.join(known)}, "
            f"and {WITHOUT_ASKING} for all but {', '.join(queries.LIST_COLUMNS)}"
        )
    if WITHOUT_ASKING in asked:
        asked += [name for name in known if name not in queries.LIST_COLUMNS]
    return tuple(name for name in known if name in asked or name == "id")


def _checked(text: str) -> str:
    chosen_fields(text)
    return text


Fields = Annotated[
    str,
    Query(
        description=(
            "Names of fields, with commas between them: an answer holds these and `id`. `*` stands "
            f"for all but {', '.join(f'`{name}`' for name in queries.LIST_COLUMNS)}."
        ),
        examples=["*,token_log_probs"],
        # Described only: pydantic's own refusal would not say which name is wrong.
        json_schema_extra={"pattern": f"^{_FIELD}(,{_FIELD})*$"},
    ),
    AfterValidator(_checked),
]
# What is asked for under another name than the filter has; the last two are those of older pages.
_OTHER_NAMES = {"q": "text", "old_source": "source_pool", "old_exact_match": "exact_match"}


class PageQuery(FilterQuery):
    """Which previews, how many of them, and what of each."""

    limit: Annotated[int, Query(ge=1, le=1_000), Whole] = 100
    offset: Annotated[int, Query(ge=0, le=_LARGEST), Whole] = 0
    fields: Fields = WITHOUT_ASKING


class PreviewHistory(BaseModel):
    """One page, newest first. ``count`` rows are in it, ``total`` match, of ``total_all``."""

    previews: list[LoggedPreview]
    limit: int
    offset: int
    count: int
    total: int
    total_all: int
    next: str | None = None  # the address of the next page
    previous: str | None = None


def history_routes(router: APIRouter, monitor: Monitor) -> None:
    """Add ``/api/preview/…``."""

    @router.get(
        "/api/preview/history",
        response_class=Response,
        responses={200: {"model": PreviewHistory}, **NOT_READY},
        tags=["history"],
    )
    def preview_history(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
        """A page of the previews that match, newest first, with full texts."""
        chosen = chosen_fields(query.fields)
        page = queries.preview_page(
            ready_cursor(monitor),
            query.filter(),
            limit=query.limit,
            offset=query.offset,
            lists=not set(chosen).isdisjoint(queries.LIST_COLUMNS),
        )
        shown = PreviewHistory.model_construct(
            previews=[logged(row, chosen) for row in page.rows],
            limit=query.limit,
            offset=query.offset,
            count=len(page.rows),
            total=page.total,
            total_all=page.total_all,
            next=_link(request, query, query.offset + query.limit, page.total),
            previous=_link(request, query, query.offset - query.limit, page.total),
        )
        return packed_json(request, shown.model_dump_json(exclude_unset=True).encode())

    for kind in FILES:
        router.add_api_route(
            f"/api/preview/history.{kind}",
            _file_endpoint(monitor, kind),
            methods=["GET"],
            name=f"preview history as {kind}",
            description="All previews that match, oldest first, streamed.",
            response_class=StreamingResponse,
            responses={200: {"content": {FILES[kind][1].partition(";")[0]: {}}}, **NOT_READY},
            tags=["history"],
        )

    @router.get(
        "/api/preview/{id}",
        response_class=Response,
        responses={
            200: {"model": LoggedPreview},
            404: {"description": "There is no such preview."},
            **NOT_READY,
        },
        tags=["history"],
    )
    def one_preview(
        request: Request,
        id: Annotated[str, PathParameter(pattern=queries.PREVIEW_ID, examples=["2026-01-31.12"])],
        fields: Fields = WITHOUT_ASKING,
    ) -> Response:
        """One preview by its id.

        That is its day and line in the logs (`2026-01-31.12`), with the part of a day that was
        packed and then written to again (`2026-01-31.part2.12`), or the name of an inference log
        and the line (`inference_20261124.12`).
        """
        row = queries.preview_by_id(ready_cursor(monitor), id)
        if row is None:
            raise HTTPException(404, f"There is no preview {id} in the logs.")
        shown = logged(row, chosen_fields(fields))
        return packed_json(request, shown.model_dump_json(exclude_unset=True).encode())


def ready_cursor(monitor: Monitor) -> Cursor:
    """A cursor of the request's own; why there is none yet becomes a 503."""
    return monitor.history.cursor(wait_s=_OPENING_S)


def logged(row: PreviewRow, chosen: Iterable[str]) -> LoggedPreview:
    """These fields of a row of the history. The types are the database's: nothing to check."""
    return LoggedPreview.model_construct(**{name: getattr(row, name) for name in chosen})


def _link(request: Request, query: PageQuery, offset: int, total: int) -> str | None:
    if offset >= total or offset <= -query.limit:
        return None
    given = {**request.query_params, "limit": query.limit, "offset": max(0, offset)}
    return f"{request.url.path}?{urlencode(given)}"


def _file_endpoint(monitor: Monitor, kind: str) -> Callable[[FilterQuery], StreamingResponse]:
    chunks, media_type = FILES[kind]

    def file(query: Annotated[FilterQuery, Query()]) -> StreamingResponse:
        found = chunks(ready_cursor(monitor), query.filter())
        first = next(found, b"")  # what goes wrong at once is said by the status
        return StreamingResponse(
            chain([first], found),
            media_type=media_type,
            headers={"Content-Disposition": f'attachment; filename="previews.{kind}"'},
        )

    return file
