"""The preview history: pages of it, all of it as a file, and one preview."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
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
from app.views.models import Preview
from app.views.preview_fields import preview_fields
from app.views.preview_filter import moment
from app.watch.monitor import Monitor
from control_room.history import queries
from control_room.history.filters import FILTERS, Filter, PreviewFilter
from control_room.history.queries import Cursor, PreviewRow

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
    """A parameter that the daemon trainer's pages know by another name."""
    about = f"Use {newer}, which counts where both are given."
    return Query(alias=name, deprecated=True, description=about)


Moment = Annotated[datetime, BeforeValidator(_moment)]
NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"description": "The history is being read, or nothing has been logged."}
}


_TYPES: dict[str, Any] = {
    "str": str | None,
    "bool": bool | None,
    "int": Count,
    "datetime": Moment | None,
}


def _parameter(declared: Filter) -> tuple[Any, Any]:
    kind, asking = _TYPES[declared.kind], declared.asking
    if not asking.about:
        return kind, None
    return Annotated[kind, Query(description=asking.about, examples=[asking.example])], None


def _older_parameter(declared: Filter) -> tuple[Any, Any]:
    alias = _older(declared.asking.older_parameter, declared.parameter)
    return Annotated[_TYPES[declared.kind], alias], None


# The field of an older parameter cannot be called as the filter is, and need not be as it is.
_OLDER = {f"old_{name}": each for name, each in FILTERS.items() if each.asking.older_parameter}

if TYPE_CHECKING:
    _Filters = BaseModel
    _Whole = Preview
else:
    _Filters = create_model(
        "_Filters",
        **{each.parameter: _parameter(each) for each in FILTERS.values()},
        **{name: _older_parameter(each) for name, each in _OLDER.items()},
    )
    # An answer may leave any of them out, whether or not every preview has it.
    _Whole = create_model(
        "_Whole",
        **{
            name: (kind, Field(default_factory=lambda: None, description=field.description))
            for name, (kind, field) in preview_fields(lists=True).items()
        },
    )


class FilterQuery(_Filters):
    """Which previews; both ends of a range are included.

    A time without an offset is in the server's zone, and a day alone means all of it.
    """

    model_config = ConfigDict(extra="forbid")

    def filter(self) -> PreviewFilter:
        """The condition. An empty text asks for nothing."""
        given = {name: getattr(self, each.parameter) for name, each in FILTERS.items()}
        for name, each in _OLDER.items():
            if given[each.name] in (None, ""):
                given[each.name] = getattr(self, name)
        return PreviewFilter(**{n: value for n, value in given.items() if value != ""})


class LoggedPreview(_Whole):
    """A preview of the history; ``id`` is its day and line in the logs.

    `fields` chooses what an answer holds; lists of numbers are left out unless it names them.
    Where texts are cut, `cut` has their whole lengths by name, and `whole` is the address of the
    preview in full; both are missing where nothing is cut.
    """

    id: str
    cut: dict[str, int] = Field(
        default_factory=dict,
        description="Full lengths, in characters (of lists: numbers), of what is cut here.",
    )
    whole: str | None = Field(None, description="The address of this preview with nothing cut.")


WITHOUT_ASKING = "*"
_CHOICES = tuple(name for name in LoggedPreview.model_fields if name not in ("cut", "whole"))
_FIELD = f" *({'|'.join(_CHOICES)}|\\*) *"


def chosen_fields(text: str) -> tuple[str, ...]:
    """The names that ``fields=`` asks for, ``id`` always among them.

    Raises ``ValueError`` naming those that are none.
    """
    known = _CHOICES
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


def routes(router: APIRouter, monitor: Monitor) -> None:
    """Add ``/api/preview/history``."""

    @router.get(
        "/api/preview/history",
        response_class=Response,
        responses={200: {"model": PreviewHistory}, **NOT_READY},
        tags=["history"],
    )
    def preview_history(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
        """A page of the previews that match, newest first.

        No text on it is longer than 20,000 characters, unless one preview alone is asked for
        (`limit=1`), and shorter where all of them would take more than 8 MiB: `cut` then
        has the full lengths by name, and `whole` the address of the preview in full.
        """
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


def ready_cursor(monitor: Monitor) -> Cursor:
    """A cursor of the request's own; why there is none yet becomes a 503."""
    return monitor.history.cursor(wait_s=_OPENING_S)


def logged(row: PreviewRow, chosen: Iterable[str]) -> LoggedPreview:
    """These fields of a row of the history. The types are the database's: nothing to check."""
    values = {name: getattr(row, name) for name in chosen}
    if cut := {name: length for name, length in row.cut.items() if name in values}:
        values |= {"cut": cut, "whole": f"/api/preview/{row.id}"}
    return LoggedPreview.model_construct(**values)


def _link(request: Request, query: PageQuery, offset: int, total: int) -> str | None:
    if offset >= total or offset <= -query.limit:
        return None
    given = {**request.query_params, "limit": query.limit, "offset": max(0, offset)}
    return f"{request.url.path}?{urlencode(given)}"
