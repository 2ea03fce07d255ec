"""The logs of a run as DuckDB tables, fed with what was appended since the last look.

The logs are the truth: an index on disk is a cache beside the run, and one that is of another
version, damaged or gone is built again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

from control_room.extra import MissingExtra, load_extra
from control_room.history.archives_read import Archives
from control_room.history.database import Database, IndexInUse, is_damage
from control_room.history.positions import keep_archives, keep_positions, positions_in
from control_room.history.sql.lending import Lending
from control_room.history.sql.processes import SqlProcesses
from control_room.history.sql.question import SqlAnswer
from control_room.history.writer import Part, TableWriter
from control_room.logs.archive import DamagedArchive, archive_blocks
from control_room.logs.day_parts import DayPart
from control_room.logs.file_identity import Version, look_at
from control_room.logs.followed_files import FollowedFiles
from control_room.logs.patterns import PatternRules
from control_room.logs.schema import TABLES
from control_room.logs.step_limit import StepLimit
from control_room.logs.tail import Block, Position, Reject, TailBatch
from control_room.rundir import LogKind, RunDir

if TYPE_CHECKING:
    import duckdb

__all__ = ["HistoryIndex", "IndexFailed", "IndexInUse", "MissingExtra", "Refresh"]

# Of new logs, taken in by one refresh: enough that the database writes whole row groups.
_MAX_REFRESH_BYTES = 256 * 2**20


class IndexFailed(RuntimeError):
    """The database could not take in what the logs hold: a full disk, a damaged file, no memory.

    ``damaged``: what is kept on disk is no good, and is better discarded.
    """

    def __init__(self, message: str, *, damaged: bool = False) -> None:
        super().__init__(message)
        self.damaged = damaged


@dataclass(frozen=True, slots=True)
class Refresh:
    """What one look at the logs brought."""

    added: int = 0
    rejected: int = 0
    problems: tuple[str, ...] = ()  # files that cannot be read at all
    more: bool = False  # there is more to read at once

    def plus(self, other: Refresh) -> Refresh:
        """Both together."""
        return Refresh(
            self.added + other.added,
            self.rejected + other.rejected,
            (*self.problems, *other.problems),
            self.more or other.more,
        )


@dataclass(frozen=True, slots=True)
class _Look:
    """A batch of new lines, read. ``series`` counts the looks at which a file began anew."""

    batch: TailBatch
    anew: frozenset[str]
    parts: tuple[Part, ...]
    series: int


@dataclass(frozen=True, slots=True)
class _Damage:
    """An archive that cannot be read whole."""

    kind: LogKind
    version: Version | None  # a mended one has another
    problem: str


class HistoryIndex:
    """The tables ``previews``, ``throughput``, ``metrics`` and ``rejects`` of one run.

    ``database`` is where the cache is kept, None holds it in memory. ``rules`` name the pattern
    of a record that has none of its own. Raises :class:`IndexInUse` when another process has the
    database open, :class:`IndexFailed` when it cannot be made, :class:`MissingExtra` without DuckDB
    or pyarrow. One thread refreshes; any thread may ask through its own :meth:`cursor`. ``damage``
    says why what was kept had to be built again; None when it had not.
    """

    def __init__(
        self,
        run: RunDir,
        *,
        database: Path | None = None,
        memory_limit_mb: int = 512,
        rules: PatternRules | None = None,
    ) -> None:
        self._run = run
        self._duckdb = load_extra("duckdb")
        run_id = run.path.resolve().name
        rules = PatternRules() if rules is None else rules
        self._files: dict[LogKind, FollowedFiles] = {}
        # By part: its plain file and how far it was read; None: from an archive.
        self._stored: dict[LogKind, dict[str, tuple[str, Position] | None]] = {}
        self._damaged: dict[Path, _Damage] = {}
        self._archives: dict[LogKind, Archives] = {}
        self._forgot = False  # rows were taken out in this look
        self._left_out = False  # lines were, that may have been judged wrongly
        open_database = partial(
            Database,
            database,
            made_for=f"{run_id!r} {rules.text}",
            memory_limit_mb=memory_limit_mb,
            inside=run.inside if database and database.is_relative_to(run.path) else None,
        )
        try:
            self._database = open_database()
            self.damage = self._database.damage
            try:
                self._begin(run_id, rules)
            except (self._duckdb.Error, TypeError) as error:  # or nothing where a number belongs
                self.damage = str(error)
                self._database.discard()
                self._database = open_database()
                self._begin(run_id, rules)
        except self._duckdb.Error as error:
            raise IndexFailed(f"The history cannot be kept: {error}") from error
        self._lending = Lending(self._database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of the caller's own, for one thread."""
        cursor: duckdb.DuckDBPyConnection = self._connection.cursor()
        return cursor

    def ask(self, text: str, processes: SqlProcesses) -> SqlAnswer:
        """The answer to somebody's own ``SELECT``, found by a process that only reads the tables.

        Raises :class:`~control_room.history.sql.question.SqlRefused`.
        """
        return self._lending.ask(
            lambda path: processes.ask(path, text), wait_s=processes.limits.timeout_s
        )

    def close(self) -> None:
        """Close the database; cursors end with it, and so must whoever asks."""
        self._lending.close()
        self._database.close()

    def discard(self) -> None:
        """Close the database, and remove what is kept of it on disk."""
        self._lending.close()
        self._database.discard()

    def refresh(self) -> Refresh:
        """Take in what the logs gained, lost or changed since the last look.

        Raises :class:`IndexFailed` when the database cannot; then close it and open it again.
        """
        with self._lending.writing:
            return self._refresh_all()

    def _refresh_all(self) -> Refresh:
        total = Refresh()
        try:
            self._judge_steps()
            for kind in TABLES:
                total = total.plus(self._refresh(kind))
            self._left_out = total.rejected > 0
            if self._judge_steps():
                total = total.plus(Refresh(more=True))
        except self._duckdb.Error as error:
            raise IndexFailed(
                f"The history cannot be kept: {error}", damaged=is_damage(error)
            ) from error
        return total

    def _begin(self, run_id: str, rules: PatternRules) -> None:
        self._connection = self._database.connection
        self._writers = {
            kind: TableWriter(self._connection, table, run_id, rules)
            for kind, table in TABLES.items()
        }
        self._step_limit, self._max_step = StepLimit(self._run), 0
        self._read_on()

    def _judge_steps(self) -> bool:
        """Whether lines are to be read again, as their steps are judged otherwise now."""
        max_step, again = self._step_limit.look(), False
        if max_step == self._max_step and not self._left_out:
            return False
        with self._all_or_nothing():
            for kind, writer in self._writers.items():
                if names := writer.files_to_judge_anew(max_step):
                    self._read_again(kind, names)
                    again = True
        self._max_step, self._left_out = max_step, False
        return again

    def _read_again(self, kind: LogKind, parts: Collection[str]) -> None:
        """Take parts out, so that the next look reads them from their start."""
        self._forget(kind, parts)
        self._files[kind].read_again(parts)

    def _read_on(self) -> None:
        """Read on from where the tables stand."""
        for kind, writer in self._writers.items():
            stored = positions_in(self._connection, kind)
            self._stored[kind] = stored.by_part
            self._archives[kind] = Archives(self._run.inside, stored.archives)
            self._files[kind] = FollowedFiles(self._run, kind, stored.plain)
            writer.measure()

    def _refresh(self, kind: LogKind) -> Refresh:
        archives = self._changed_archives(kind)
        first = self._look(kind, 0)
        gone = self._files[kind].gone(self._stored[kind])
        batch, result = first.batch, Refresh()
        if batch.blocks or batch.rejects or first.anew or gone or archives:
            with self._all_or_nothing():
                self._forget(kind, gone)
                batch, result = self._take_in(kind, first, archives)
        problems = (*batch.problems, *self._archive_problems(kind))
        return Refresh(result.added, result.rejected, problems, batch.more or result.more)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        self._connection.begin()
        try:
            yield
            self._connection.commit()
            self._lending.written += 1
        except BaseException:
            # Nothing of this look is in the tables, so the next one starts from where they stand.
            with suppress(self._duckdb.Error):  # a database that failed cannot do this either
                self._connection.rollback()
                self._read_on()
            raise

    def _take_in(
        self, kind: LogKind, first: _Look, archives: Sequence[DayPart]
    ) -> tuple[TailBatch, Refresh]:
        """Write what the looks bring; return the last batch, and how much it was in all."""
        writer = self._writers[kind]
        seen, result = [first.batch], Refresh()
        # A file's old rows must be out before its new ones come, so a series ends where one begins.
        for _, series in groupby(self._looks(kind, first), key=lambda look: look.series):
            looks = iter(series)
            opening = next(looks)
            self._forget(kind, opening.anew)
            result = result.plus(self._add(writer, _parts(chain([opening], looks), seen)))
        if archives:
            result = result.plus(self._add_archives(kind, archives))
        writer.put_in_order()
        self._keep_positions(kind)
        lost = writer.files_of_lost_originals() if kind == "preview" and self._forgot else []
        if lost:
            self._read_again(kind, lost)
            result = result.plus(Refresh(more=True))
        self._forgot = False
        return seen[-1], result

    def _add(self, writer: TableWriter, parts: Iterable[Part]) -> Refresh:
        added, rejected = writer.add(parts)
        return Refresh(added, rejected)

    def _looks(self, kind: LogKind, first: _Look) -> Iterator[_Look]:
        """``first`` and, up to a limit, what follows, each read while the one before is stored."""
        if not first.batch.more:
            yield first
            return
        with ThreadPoolExecutor(1, thread_name_prefix="read-logs") as reader:
            look, size = first, _size(first)
            while look.batch.more and size < _MAX_REFRESH_BYTES:
                upcoming = reader.submit(self._look, kind, look.series)
                yield look
                look = upcoming.result()
                size += _size(look)
            yield look

    def _look(self, kind: LogKind, series: int) -> _Look:
        writer = self._writers[kind]
        batch = self._files[kind].read()
        # A part that is read from its start may be in the tables already, as it was or archived.
        anew = {path.name for path in batch.begun} & self._stored[kind].keys()
        parts = [Part(None, batch.rejects)] if batch.rejects else []
        parts += writer.read_all(batch.blocks)
        return _Look(batch, frozenset(anew), tuple(parts), series + bool(anew))

    def _changed_archives(self, kind: LogKind) -> list[DayPart]:
        """Packed parts that no table holds as they now are."""
        files, archives = self._files[kind], self._archives[kind]
        damaged = {path: of for path, of in self._damaged.items() if of.kind == kind}
        as_known = {path for path, of in damaged.items() if look_at(path) == of.version}
        if len(as_known) < len(damaged):
            files.list_again()  # one was mended
        try:
            parts = files.new_parts()
        except OSError:
            return []  # the tail tells that the directory cannot be read
        if parts is None:
            return archives.some_changed()
        for path in damaged.keys() - {part.path for part in parts}:
            del self._damaged[path]
        # What an earlier process found damaged is looked at again, to say what is wrong with it.
        return archives.changed([part for part in parts if part.is_packed], as_known)

    def _forget(self, kind: LogKind, names: Collection[str]) -> None:
        if not names:
            return
        self._forgot = True
        known = [name for name in names if name in self._stored[kind]]
        if known:
            self._writers[kind].forget(known)
            self._archives[kind].forget(known)
            for name in known:
                del self._stored[kind][name]

    def _keep_positions(self, kind: LogKind) -> None:
        stored = self._stored[kind]
        news = {
            part: at for part, at in self._files[kind].positions().items() if stored.get(part) != at
        }
        keep_positions(self._connection, kind, news, known=stored.keys())
        stored |= news

    def _add_archives(self, kind: LogKind, packed: Sequence[DayPart]) -> Refresh:
        """Take in packed parts. A damaged one gives what can be read of it, and a problem."""
        writer, archives = self._writers[kind], self._archives[kind]
        self._forget(kind, [part.name for part in packed])
        seen = {part.name: archives.seal(part.path) for part in packed}
        for part in packed:
            self._damaged.pop(part.path, None)

        def read(part: DayPart) -> Iterator[Block | Reject]:
            try:
                yield from archive_blocks(part.path, part.name, self._run.inside)
            except (DamagedArchive, OSError) as error:
                told = f"{part.path} is damaged ({error}): what could be read of it is shown."
                self._damaged[part.path] = _Damage(kind, seen[part.name].version, told)

        def parts() -> Iterator[Part]:
            for is_reject, found in groupby(
                chain.from_iterable(map(read, packed)), lambda each: isinstance(each, Reject)
            ):
                if is_reject:
                    yield Part(None, tuple(cast("Iterator[Reject]", found)))
                else:
                    yield from writer.read_all(cast("Iterator[Block]", found))

        result = self._add(writer, parts())
        damaged = {part.name for part in packed if part.path in self._damaged}
        keep_archives(self._connection, kind, seen, damaged)
        archives.know(seen, damaged)
        self._stored[kind] |= dict.fromkeys(seen)
        return result

    def _archive_problems(self, kind: LogKind) -> tuple[str, ...]:
        return tuple(of.problem for of in self._damaged.values() if of.kind == kind)


def _parts(looks: Iterable[_Look], seen: list[TailBatch]) -> Iterator[Part]:
    for look in looks:
        seen.append(look.batch)
        yield from look.parts


def _size(look: _Look) -> int:
    return sum(len(block.data) for block in look.batch.blocks)
