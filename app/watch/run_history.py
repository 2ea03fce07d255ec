"""The history index of the watched run, opened in the background and shared by every viewer."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from app.views.readings import HistoryReading
from control_room.error_words import words_for
from control_room.extra import load_extra
from control_room.history.database import is_damage
from control_room.history.index import HistoryIndex, IndexFailed, IndexInUse, Refresh
from control_room.history.sql.processes import SqlLimits, SqlProcesses
from control_room.history.sql.question import SqlAnswer, SqlRefused
from control_room.history.watched_cursor import guarded, is_closed
from control_room.logs.patterns import PatternRules
from control_room.rundir import RunDir

if TYPE_CHECKING:
    import duckdb

log = logging.getLogger(__name__)

_LAST_FAILURE = 2  # in a row, after which the disk is left alone
_TOLD_S = 3600.0  # how long it is said that the history was built again


class HistoryNotReady(RuntimeError):
    """There is no index to ask yet. The message is for a person."""


class HistoryFailed(RuntimeError):
    """The index has no answer to what a page asks. The message is for a person."""


class RunHistory:
    """Opens the index once somebody wants it, and from then on keeps it up to date.

    Until then it costs nothing: a page left on the live view needs no database. The index is kept
    in the run directory's cache, or in memory where that cannot be written or another app has
    it open. One that turns out damaged is built again from the logs. One thread refreshes; any
    thread may ask through :meth:`cursor`.
    """

    def __init__(
        self,
        run: RunDir,
        *,
        memory_limit_mb: int,
        rules: PatternRules,
        sql: SqlLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._sql = SqlProcesses(SqlLimits() if sql is None else sql)
        self._rules = rules
        self._memory_limit_mb = memory_limit_mb
        self._clock = clock
        self._index: HistoryIndex | None = None
        self._note: str | None = None  # why it is held in memory
        self._failures = 0  # in a row
        self._in_memory = False
        self._damage: str | None = None  # found by who asked; not dealt with yet
        self._mended: tuple[str, float] | None = None  # what was said of it, and when
        self._read_so_far = 0
        self._progressed_at = 0.0
        self._wanted = threading.Event()
        self._up_to_date = threading.Event()

    def refresh(self) -> HistoryReading:
        """Take in what the logs gained, if anybody wants to know.

        Raises :class:`~control_room.history.index.IndexFailed` when that fails; the next call
        opens the index anew, and after a second failure holds it in memory.
        """
        if not self._wanted.is_set():
            return HistoryReading()
        if self._damage is not None:
            self._discard(self._damage)
        if self._index is None:
            if not self._run.has_logs():
                return HistoryReading()
            self._index = self._open()
        try:
            reading = self._take_in(self._index)
        except IndexFailed as failure:
            if failure.damaged and not self._in_memory:
                self._discard(str(failure.__cause__))
                return self.refresh()
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
            self._progressed_at = time.time()
        self._up_to_date.set()
        return HistoryReading(added, result.problems, self._told())

    def _told(self) -> str | None:
        """What a person should know of how the history is kept."""
        if self._mended is not None and self._clock() - self._mended[1] < _TOLD_S:
            return " ".join(filter(None, [self._mended[0], self._note]))
        return self._note

    @property
    def state(self) -> Literal["not opened", "reading", "ready"]:
        """Whether the index is open and up to date."""
        if self._up_to_date.is_set():
            return "ready"
        return "reading" if self._wanted.is_set() else "not opened"

    def progressed_at(self) -> float:
        """When the last piece of the logs was taken in, in epoch seconds."""
        return self._progressed_at

    def want(self) -> None:
        """Have the index opened and kept up to date from now on."""
        self._wanted.set()

    def cursor(self, *, wait_s: float = 0) -> duckdb.DuckDBPyConnection:
        """A connection of the caller's own; the index is wanted from now on.

        Raises :class:`HistoryNotReady` when there is none within ``wait_s``. So does whatever is
        asked with it when what is kept on disk turns out damaged, and :class:`HistoryFailed` when
        the database cannot answer.
        """
        return guarded(self._cursor(wait_s), self._failed)

    def ask(self, text: str) -> SqlAnswer:
        """The answer to somebody's own question in SQL, found by a process of its own.

        Raises :class:`HistoryNotReady`, also while what is kept on disk is built again, and
        :class:`~control_room.history.sql.question.SqlRefused`.
        """
        index = self._ready(0)
        try:
            return index.ask(text, self._sql)
        except SqlRefused as refused:
            if isinstance(refused.__cause__, load_extra("duckdb").Error):
                self._look_for_damage(refused.__cause__)
            raise

    def expect_questions(self) -> None:
        """Have a process ready that answers the next question in SQL."""
        self._sql.warm()

    def _cursor(self, wait_s: float) -> duckdb.DuckDBPyConnection:
        return self._ready(wait_s).cursor()

    def _ready(self, wait_s: float) -> HistoryIndex:
        self.want()
        if not self._run.has_logs():
            raise HistoryNotReady("Nothing has been logged in this run yet.")
        self._up_to_date.wait(wait_s)
        index = self._index
        if index is None or not self._up_to_date.is_set():
            raise HistoryNotReady(
                f"The history is being read from the logs: {self._read_so_far:,} records so far."
            )
        return index

    def close(self) -> None:
        """Close the index, and end the processes that read it."""
        self._up_to_date.clear()
        self._sql.close()
        if self._index is not None:
            self._index.close()
            self._index = None

    def _failed(self, error: Exception) -> None:
        self._look_for_damage(error)
        log.warning("the history could not answer: %s", error)  # it may quote what was logged
        if isinstance(error, load_extra("duckdb").OutOfMemoryException):
            why = f"it takes more than history.memory_limit_mb, {self._memory_limit_mb}, allows"
        else:
            why = f"{words_for(error)} (the app's log says more)"
        raise HistoryFailed(f"The history cannot answer this: {why}.") from error

    def _look_for_damage(self, error: Exception) -> None:
        """Raises :class:`HistoryNotReady` where asking again helps."""
        if is_closed(error):
            raise HistoryNotReady("The history is being opened again.") from error
        if is_damage(error) and not self._in_memory:
            self._damage = str(error)
            self._up_to_date.clear()
            raise HistoryNotReady(
                "What was kept of the history is damaged; it is being built again from the logs."
            ) from error

    def _discard(self, damage: str) -> None:
        """Throw away what is kept; it is built again by opening it."""
        self._damage = None
        self._up_to_date.clear()
        self._sql.close()
        if self._mended is not None:
            self._failures = _LAST_FAILURE  # a disk that does it again is not trusted any more
        if self._index is not None:
            self._index.discard()
            self._index = None
        self._say_mended(damage)

    def _say_mended(self, damage: str) -> None:
        first_line = damage.strip().partition("\n")[0]
        text = (
            f"What was kept of the history in {self._database} was damaged ({first_line}); it has "
            "been built again from the logs, and nothing is lost."
        )
        log.warning(text)
        self._mended = text, self._clock()

    @property
    def _database(self) -> Path:
        return self._run.cache / "history.duckdb"

    def _open(self) -> HistoryIndex:
        open_index = partial(
            HistoryIndex, self._run, memory_limit_mb=self._memory_limit_mb, rules=self._rules
        )
        self._read_so_far = 0
        self._in_memory = True
        if self._failures >= _LAST_FAILURE:
            self._note = f"The history is held in memory, as {self._database} could not be kept."
            return open_index()
        try:
            index = open_index(database=self._database)
        except (IndexInUse, IndexFailed, OSError) as error:
            self._note = f"The history is held in memory: {error}"
            log.warning(self._note)
            return open_index()
        self._in_memory = False
        if index.damage is not None:
            self._say_mended(index.damage)
        return index
