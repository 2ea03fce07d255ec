"""One preview of the history, whole, and one text of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import StreamingResponse

from app.api.downloads import Download
from app.api.history import (
    NOT_READY,
    WITHOUT_ASKING,
    Fields,
    LoggedPreview,
    chosen_fields,
    logged,
    ready_cursor,
)
from app.api.wire import JSON, packed_json
from app.text.visible import visible_chunks
from app.watch.monitor import Monitor
from control_room.history import queries
from control_room.history.queries import PreviewRow
from control_room.history.whole import json_chunks, text_chunks
from control_room.logs.schema import TABLES

TEXTS = tuple(name for name, sql in TABLES["preview"].columns.items() if sql == "VARCHAR")
# A text of one preview that is held whole; a longer one is streamed.
_HELD_CHARS = 2**18


def routes(router: APIRouter, monitor: Monitor) -> None:
    """Add ``/api/preview/{id}`` and its texts."""

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
        cursor, chosen = ready_cursor(monitor), chosen_fields(fields)
        row = queries.preview_by_id(cursor, id, most=_HELD_CHARS)
        if row is None:
            raise HTTPException(404, f"There is no preview {id} in the logs.")
        marks = {n: secrets.token_hex(16) for n in chosen if n in row.cut}
        if not marks.keys() <= set(TEXTS) or not marks:
            whole = queries.preview_by_id(cursor, id) if row.cut else row
            shown = logged(whole or row, chosen)
            return packed_json(request, shown.model_dump_json(exclude_unset=True).encode())
        short = logged(_marked(row, marks), chosen).model_dump_json(exclude_unset=True)
        return Download(
            json_chunks(cursor, row.seq, short, marks), what=f"Preview {id}", media_type=JSON
        )

    @router.get(
        "/api/preview/{id}/{text}",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/plain": {}}},
            404: {"description": "There is no such preview, or it has no such text."},
            **NOT_READY,
        },
        tags=["history"],
    )
    def one_text(
        id: Annotated[str, PathParameter(pattern=queries.PREVIEW_ID, examples=["2026-01-31.12"])],
        text: Annotated[str, PathParameter(pattern=f"^({'|'.join(TEXTS)})$", examples=["prompt"])],
        visible: Annotated[
            bool,
            Query(
                description="As pages show it: what has no shape of its own is written out, "
                "and lines end after 1,000 characters."
            ),
        ] = False,
    ) -> StreamingResponse:
        """One text of a preview, whole, as plain text."""
        cursor = ready_cursor(monitor)
        place = queries.place_of(cursor, id)
        chunks = None if place is None else text_chunks(cursor, place.seq, text)
        if chunks is None:
            raise HTTPException(404, f"There is no preview {id} with a {text} in the logs.")
        return Download(
            visible_chunks(chunks) if visible else chunks,
            what=f"The {text} of preview {id}",
            media_type="text/plain; charset=utf-8",
        )


def _marked(row: PreviewRow, marks: Mapping[str, Any]) -> PreviewRow:
    """The row with a mark in place of each text that is to be streamed."""
    return replace(row, **marks, cut={})
