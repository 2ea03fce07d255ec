"""The logs of a run as DuckDB tables, fed with what was appended since the last look.

The logs are the truth: an index on disk is a cache beside the run, and one that is of another
version, damaged or gone is built again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from control_room.history.archive import DamagedArchive, archive_blocks
from control_room.history.database import IndexInUse, open_database
from control_room.history.extra import MissingExtra, extra
from control_room.history.parquet_day import SUFFIX
from control_room.history.patterns import PatternRules
from control_room.history.schema import TABLES
from control_room.history.tail import LogTail, Position, Reject, TailBatch
from control_room.history.writer import Part, TableWriter
from control_room.rundir import LogKind, RunDir

if TYPE_CHECKING:
    import duckdb

__all__ = ["HistoryIndex", "IndexFailed", "IndexInUse", "MissingExtra", "Refresh"]

_ARCHIVED = -1  # in place of the inode of a day that was read from its archive
# Of new logs, taken in by one refresh: enough that the database writes whole row groups.
_MAX_REFRESH_BYTES = 256 * 2**20


class IndexFailed(RuntimeError):
    """The database could not take in what the logs hold: a full disk, a damaged file, no memory."""


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
class _Days:
    lost: frozenset[str] = frozenset()  # whose files are gone, plain and compressed
    archives: tuple[Path, ...] = ()  # of days that no table holds as they now are


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
    size: int  # in bytes; a mended one has another
    problem: str


class HistoryIndex:
    """The tables ``previews``, ``throughput``, ``metrics`` and ``rejects`` of one run.

    ``database`` is where the cache is kept, None holds it in memory. ``rules`` name the pattern
    of a record that has none of its own. Raises :class:`IndexInUse` when another process has the
    database open, :class:`MissingExtra` without DuckDB or pyarrow. One thread refreshes; any
    thread may ask through its own :meth:`cursor`.
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
        self._duckdb = extra("duckdb")
        run_id = run.path.resolve().name
        rules = PatternRules() if rules is None else rules
        self._connection = open_database(
            database, made_for=f"{run_id!r} {rules.text}", memory_limit_mb=memory_limit_mb
        )
        self._writers = {
            kind: TableWriter(self._connection, table, run_id, rules)
            for kind, table in TABLES.items()
        }
        self._tails: dict[LogKind, LogTail] = {}
        self._stored: dict[LogKind, dict[str, Position | None]] = {}  # None: from an archive
        self._looked_at_ns: dict[LogKind, int] = {}
        self._damaged: dict[Path, _Damage] = {}
        self._begin()

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

    def close(self) -> None:
        """Close the database; cursors end with it."""
        self._connection.close()

    def refresh(self) -> Refresh:
        """Take in what the logs gained, lost or changed since the last look.

        Raises :class:`IndexFailed` when the database cannot; then close it and open it again.
        """
        total = Refresh()
        try:
            for kind in TABLES:
                total = total.plus(self._refresh(kind))
        except self._duckdb.Error as error:
            raise IndexFailed(f"The history cannot be kept: {error}") from error
        return total

    def _begin(self) -> None:
        """Read on from where the tables stand."""
        for kind, writer in self._writers.items():
            rows = self._connection.execute(
                'SELECT name, inode, "offset", lines, fingerprint, skipping '
                "FROM files WHERE kind = ?",
                [kind],
            ).fetchall()
            stored = {
                name: None
                if inode == _ARCHIVED
                else Position(inode, offset, lines, bytes(fingerprint), skipping)
                for name, inode, offset, lines, fingerprint, skipping in rows
            }
            self._stored[kind] = stored
            positions = {name: at for name, at in stored.items() if at is not None}
            self._tails[kind] = LogTail(
                self._run.logs(kind), self._run.log_glob(kind), positions=positions
            )
            writer.measure()
        self._looked_at_ns.clear()

    def _refresh(self, kind: LogKind) -> Refresh:
        first = self._look(kind, 0)
        days = self._changed_days(kind)
        batch, result = first.batch, Refresh()
        if batch.blocks or batch.rejects or first.anew or days.lost or days.archives:
            with self._all_or_nothing():
                batch, result = self._take_in(kind, first, days)
        problems = (*batch.problems, *self._archive_problems(kind))
        return Refresh(result.added, result.rejected, problems, batch.more)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        self._connection.begin()
        try:
            yield
            self._connection.commit()
        except BaseException:
            # Nothing of this look is in the tables, so the next one starts from where they stand.
            with suppress(self._duckdb.Error):  # a database that failed cannot do this either
                self._connection.rollback()
                self._begin()
            raise

    def _take_in(self, kind: LogKind, first: _Look, days: _Days) -> tuple[TailBatch, Refresh]:
        """Write what the looks bring; return the last batch, and how much it was in all."""
        writer = self._writers[kind]
        for day in sorted(days.lost):
            self._forget(kind, day)
        seen, result = [first.batch], Refresh()
        # A file's old rows must be out before its new ones come, so a series ends where one begins.
        for _, series in groupby(self._looks(kind, first), key=lambda look: look.series):
            looks = iter(series)
            opening = next(looks)
            for name in sorted(opening.anew):
                self._forget(kind, name)
            result = result.plus(self._add(writer, _parts(chain([opening], looks), seen)))
        for archive in days.archives:
            result = result.plus(self._add_archive(kind, archive))
        writer.put_in_order()
        self._keep_positions(kind)
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
        batch = self._tails[kind].read()
        # A file that is read from its start may be in the tables already, as it was or archived.
        anew = {path.name for path in batch.begun} & self._stored[kind].keys()
        parts = [Part(None, batch.rejects)] if batch.rejects else []
        parts += [writer.read(block) for block in batch.blocks]
        return _Look(batch, frozenset(anew), tuple(parts), series + bool(anew))

    def _changed_days(self, kind: LogKind) -> _Days:
        """What came and went among the days, when anything did since the last look."""
        directory = self._run.logs(kind)
        try:
            changed_ns = directory.stat().st_mtime_ns
        except OSError:
            changed_ns = -1
        damaged = {path: of for path, of in self._damaged.items() if of.kind == kind}
        mended = any(_size_of(path) != of.size for path, of in damaged.items())
        if self._looked_at_ns.get(kind) == changed_ns and not mended:
            return _Days()
        self._looked_at_ns[kind] = changed_ns
        rows = self._connection.execute(
            'SELECT name, inode, "offset", skipping FROM files WHERE kind = ?', [kind]
        ).fetchall()
        # Of days read from an archive: its size. A damaged one of an earlier process is looked at
        # again, to say what is wrong with it.
        known = {
            name: None if inode != _ARCHIVED else -1 if skipping and not damaged else size
            for name, inode, size, skipping in rows
        }
        plain = {path.name for path in directory.glob(self._run.log_glob(kind))}
        archives = {
            path.stem: path  # of two forms of a day the last one
            for suffix in (SUFFIX, ".gz")
            for path in directory.glob(self._run.log_glob(kind) + suffix)
        }
        changed = {
            day
            for day, path in archives.items()
            if day not in plain and (day not in known or known[day] not in (None, _size_of(path)))
        }
        for path in damaged.keys() - {archives.get(day) for day in archives.keys() - plain}:
            del self._damaged[path]
        return _Days(
            lost=frozenset(known.keys() - plain - archives.keys()),
            archives=tuple(archives[day] for day in sorted(changed)),
        )

    def _forget(self, kind: LogKind, name: str) -> None:
        if name in self._stored[kind]:
            self._writers[kind].forget(name)
            del self._stored[kind][name]

    def _keep_positions(self, kind: LogKind) -> None:
        stored = self._stored[kind]
        for name, at in self._tails[kind].positions().items():
            if name not in stored:
                self._connection.execute(
                    "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [kind, name, at.inode, at.offset, at.lines, at.fingerprint, at.skipping],
                )
            elif stored[name] != at:
                self._connection.execute(
                    'UPDATE files SET inode = ?, "offset" = ?, lines = ?, fingerprint = ?, '
                    "skipping = ? WHERE kind = ? AND name = ?",
                    [at.inode, at.offset, at.lines, at.fingerprint, at.skipping, kind, name],
                )
            stored[name] = at

    def _add_archive(self, kind: LogKind, path: Path) -> Refresh:
        """Take in a compressed day. A damaged one gives what can be read of it, and a problem."""
        writer, day, size = self._writers[kind], path.stem, _size_of(path)
        self._forget(kind, day)
        self._damaged.pop(path, None)

        def parts() -> Iterator[Part]:
            try:
                for found in archive_blocks(path):
                    yield Part(None, (found,)) if isinstance(found, Reject) else writer.read(found)
            except (DamagedArchive, OSError) as error:
                told = f"{path} is damaged ({error}): what could be read of it is shown."
                self._damaged[path] = _Damage(kind, size, told)

        result = self._add(writer, parts())
        self._connection.execute(
            "INSERT INTO files VALUES (?, ?, ?, ?, 0, ''::BLOB, ?)",
            [kind, day, _ARCHIVED, size, path in self._damaged],
        )
        self._stored[kind][day] = None
        return result

    def _archive_problems(self, kind: LogKind) -> tuple[str, ...]:
        return tuple(of.problem for of in self._damaged.values() if of.kind == kind)


def _parts(looks: Iterable[_Look], seen: list[TailBatch]) -> Iterator[Part]:
    for look in looks:
        seen.append(look.batch)
        yield from look.parts


def _size(look: _Look) -> int:
    return sum(len(block.data) for block in look.batch.blocks)


def _size_of(path: Path) -> int:
    """In bytes; -1 when it is gone."""
    try:
        return path.stat().st_size
    except OSError:
        return -1
