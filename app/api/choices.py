"""What the filter of previews can choose from, and the lines that no preview came of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from app.api.answers import answered, described
from app.api.history import Whole, ready_cursor
from app.watch.monitor import Monitor
from control_room.history.filters import CHOICES
from control_room.history.queries import choices, reject_counts

if TYPE_CHECKING:
    Column = str
else:
    Column = Literal[CHOICES]

Limit = Annotated[int, Query(ge=1, le=10_000), Whole]


@dataclass(frozen=True, slots=True)
class Choices:
    """The first values of a column, by the alphabet, of `total` that occur."""

    column: Column
    values: list[str]
    total: int


@dataclass(frozen=True, slots=True)
class RejectedLines:
    """Lines of one log file that cannot be read: how many, the newest of them, and why it."""

    file: str
    lines: int
    newest_line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Rejects:
    """By file, the last file first; of `total` files."""

    files: list[RejectedLines]
    total: int


def routes(router: APIRouter, monitor: Monitor) -> None:
    """Add ``/api/preview/choices`` and ``/api/rejects``."""

    @router.get("/api/preview/choices", **described(Choices), tags=["history"])
    def preview_choices(
        request: Request, column: Column = "regime", limit: Limit = 1_000
    ) -> Response:
        """The values of a column that previews can be filtered by."""
        values = choices(ready_cursor(monitor), column)
        return answered(request, Choices(column, values[:limit], len(values)))

    @router.get("/api/rejects", **described(Rejects), tags=["history"])
    def rejects(request: Request, limit: Limit = 100) -> Response:
        """The lines of the logs that cannot be read, and so are missing everywhere else."""
        files = [RejectedLines(*row) for row in reject_counts(ready_cursor(monitor))]
        return answered(request, Rejects(files[:limit], len(files)))
