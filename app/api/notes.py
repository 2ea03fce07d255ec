"""Notes on the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.api.answers import answered, described
from app.api.history import Whole, ready_cursor
from app.watch.monitor import Monitor
from control_room.history.questions.notes import Note, notes


@dataclass(frozen=True, slots=True)
class Notes:
    """The newest notes, oldest first."""

    notes: list[Note]
    count: int


def routes(router: APIRouter, monitor: Monitor) -> None:
    """Add ``/api/notes``."""

    @router.get("/api/notes", name="notes", **described(Notes), tags=["history"])
    def run_notes(
        request: Request, limit: Annotated[int, Query(ge=1, le=1_000), Whole] = 100
    ) -> Response:
        """What was noted on the run, each with its step."""
        newest = notes(ready_cursor(monitor), limit=limit)
        return answered(request, Notes(newest, len(newest)))
