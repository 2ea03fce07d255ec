"""Notes on the run, each with the step at which it was made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from control_room.history.queries import Cursor


@dataclass(frozen=True, slots=True)
class Note:
    """``step`` is the note's own, or that of the last metric before it; None before any."""

    ts: datetime
    step: int | None
    text: str


def notes(cursor: Cursor, *, limit: int = 100) -> list[Note]:
    """The newest ``limit``, oldest first."""
    rows = cursor.execute(
        "WITH newest AS (SELECT * FROM notes ORDER BY seq DESC LIMIT ?) "
        "SELECT newest.ts, coalesce(newest.step, metrics.step), text FROM newest "
        "ASOF LEFT JOIN metrics ON newest.ts >= metrics.ts ORDER BY newest.seq",
        [limit],
    ).fetchall()
    return [Note(ts.replace(tzinfo=UTC), step, text) for ts, step, text in rows]
