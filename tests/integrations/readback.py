"""What the history index has of a run."""

from __future__ import annotations

from typing import Any

from control_room import RunDir
from control_room.history.index import HistoryIndex


def read_back(run: RunDir, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query over an index that is made for it."""
    with HistoryIndex(run) as index:
        index.refresh()
        return list(index.cursor().execute(sql).fetchall())
