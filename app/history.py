"""The history index of the watched run, opened in the background and shared by every viewer."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from control_room.history.database import discard_database
from control_room.history.index import HistoryIndex, IndexFailed, IndexInUse, Refresh
from control_room.history.patterns import PatternRules
from control_room.rundir import RunDir

if TYPE_CHECKING:
    import duckdb

log = logging.getLogger(__name__)


class HistoryNotReady(RuntimeError):
    """There is no index to ask yet. The message is for a person."""


@dataclass(frozen=True, slots=True)
class HistoryReading:
    """What the last look at the logs brought."""

    added: int = 0
    problems: tuple[str, ...] = ()
    note: str | None = None  # why the index is not kept on disk


class RunHistory:
    """Opens the index once somebody wants it, and from then on keeps it up to date.

    Until then it costs nothing: a page left on the live view needs no database. The index is kept
    in the run directory's cache, or in memory where that cannot be written or another app has
    it open. One thread refreshes; any thread may ask through :meth:`cursor`.
    """

    def __init__(self, run: RunDir, *, memory_limit_mb: int, rules: PatternRules) -> None:
        self._run = run
        self._rules = rules
        self._memory_limit_mb = memory_limit_mb
        self._index: HistoryIndex | None = None
        self._note: str | None = None
        self._failures = 0  # in a row
        self._read_so_far = 0
        self._wanted = threading.Event()
        self._up_to_date = threading.Event()

    def refresh(self) -> HistoryReading:
        """Take in what the logs gained, if anybody wants to know.

        Raises :class:`~control_room.history.index.IndexFailed` when that fails; the next call
        opens the index anew, and after a second failure holds it in memory.
        """
        if not self._wanted.is_set():
            return HistoryReading()
        if self._index is None:
            if not (self._run.path / "logs").is_dir():
                return HistoryReading()
            self._index = self._open()
        try:
            reading = self._take_in(self._index)
        except IndexFailed:
            self.close()
            self._failures += 1
            raise
        self._failures = 0
        return reading

    def _take_in(self, index: HistoryIndex) -> HistoryReading:
        added, result = 0, Refresh(more=True)
        while result.more:
            result = index.refresh()
            added += result.added
            self._read_so_far += result.added
        self._up_to_date.set()
        return HistoryReading(added, result.problems, self._note)

    @property
    def state(self) -> Literal["not opened", "reading", "ready"]:
        """Whether the index is open and up to date."""
        if self._up_to_date.is_set():
            return "ready"
        return "reading" if self._wanted.is_set() else "not opened"

    def want(self) -> None:
        """Have the index opened and kept up to date from now on."""
        self._wanted.set()

    def cursor(self, *, wait_s: float = 0) -> duckdb.DuckDBPyConnection:
        """A connection of the caller's own; the index is wanted from now on.

        Raises :class:`HistoryNotReady` when there is none within ``wait_s``.
        """
        self.want()
        if not (self._run.path / "logs").is_dir():
            raise HistoryNotReady("Nothing has been logged in this run yet.")
        self._up_to_date.wait(wait_s)
        if self._index is None or not self._up_to_date.is_set():
            raise HistoryNotReady(
                f"The history is being read from the logs: {self._read_so_far:,} records so far."
            )
        return self._index.cursor()

    def close(self) -> None:
        """Close the index."""
        self._up_to_date.clear()
        if self._index is not None:
            self._index.close()
            self._index = None

    def _open(self) -> HistoryIndex:
        database = self._run.cache / "history.duckdb"
        open_index = partial(
            HistoryIndex, self._run, memory_limit_mb=self._memory_limit_mb, rules=self._rules
        )
        self._read_so_far = 0
        if self._failures > 1:
            discard_database(database)
            self._note = f"The history is held in memory, as {database} could not be written."
            return open_index()
        try:
            return open_index(database=database)
        except (IndexInUse, OSError) as error:
            self._note = f"The history is held in memory: {error}"
            log.warning(self._note)
            return open_index()
