"""The logs of a run as DuckDB tables, fed with what was appended since the last look.

The logs are the truth: an index on disk is a cache beside the run, and one that is of another
version, damaged or gone is built again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from control_room.history.archive import DamagedArchive, archive_blocks
from control_room.history.columns import Columns
from control_room.history.database import IndexInUse, open_database
from control_room.history.extra import MissingExtra, extra
from control_room.history.patterns import OTHER, PatternRules
from control_room.history.schema import TABLES, Table
from control_room.history.tail import Block, LogTail, Position, Reject, TailBatch
from control_room.rundir import LogKind, RunDir

if TYPE_CHECKING:
    import duckdb

__all__ = ["HistoryIndex", "IndexInUse", "MissingExtra", "Refresh"]

_ARCHIVED = -1  # in place of the inode of a day that was read from its archive
# Of new logs, taken in by one refresh: enough that the database writes whole row groups.
_MAX_REFRESH_BYTES = 256 * 2**20


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


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    """Where a row stands in the order of a table."""

    ts: datetime
    file: str
    line: int


@dataclass(slots=True)
class _Filled:
    """How far a table is filled, and from where its ``seq`` is out of order."""

    rows: int
    last: _Place | None
    disordered_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Look:
    """A batch of new lines, read into columns."""

    batch: TailBatch
    anew: frozenset[str]  # files that begin again with this batch
    rows: tuple[tuple[str, Any], ...]  # file name, Arrow table
    rejects: tuple[Reject, ...]


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
        self._run_id = run.path.resolve().name
        self._rules = PatternRules() if rules is None else rules
        self._arrow = extra("pyarrow")
        self._columns = {kind: Columns(table) for kind, table in TABLES.items()}
        self._connection = open_database(
            database,
            made_for=f"{self._run_id!r} {self._rules.text}",
            memory_limit_mb=memory_limit_mb,
        )
        self._tails: dict[LogKind, LogTail] = {}
        self._filled: dict[LogKind, _Filled] = {}
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
        """Take in what the logs gained, lost or changed since the last look."""
        total = Refresh()
        for table in TABLES.values():
            total = total.plus(self._refresh(table))
        return total

    def _begin(self) -> None:
        """Read on from where the tables stand."""
        for kind, table in TABLES.items():
            rows = self._connection.execute(
                'SELECT name, inode, "offset", lines, fingerprint, skipping '
                "FROM files WHERE kind = ? AND inode <> ?",
                [kind, _ARCHIVED],
            ).fetchall()
            positions = {
                name: Position(inode, offset, lines, bytes(fingerprint), skipping)
                for name, inode, offset, lines, fingerprint, skipping in rows
            }
            self._tails[kind] = LogTail(
                self._run.logs(kind), self._run.log_glob(kind), positions=positions
            )
            self._filled[kind] = self._measure(table)
        self._looked_at_ns.clear()

    def _measure(self, table: Table) -> _Filled:
        query = f"SELECT ts, file, line, seq FROM {table.name} ORDER BY seq DESC LIMIT 1"
        for ts, file, line, seq in self._connection.execute(query).fetchall():
            return _Filled(seq, _Place(ts, file, line))
        return _Filled(0, None)

    def _refresh(self, table: Table) -> Refresh:
        first = self._look(table)
        days = self._changed_days(table.kind)
        batch = first.batch
        if not (batch.blocks or batch.rejects or first.anew or days.lost or days.archives):
            problems = (*batch.problems, *self._archive_problems(table.kind))
            return Refresh(problems=problems, more=batch.more)
        with self._all_or_nothing():
            self._forget(table, sorted(days.lost))
            result = Refresh()
            for look in self._looks(table, first):
                self._forget(table, sorted(look.anew))
                result = result.plus(self._add(table, look.rows, look.rejects))
                batch = look.batch
            for archive in days.archives:
                result = result.plus(self._add_archive(table, archive))
            self._put_in_order(table)
            self._keep_positions(table.kind)
        problems = (*batch.problems, *self._archive_problems(table.kind))
        return result.plus(Refresh(problems=problems, more=batch.more))

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        self._connection.begin()
        try:
            yield
            self._connection.commit()
        except BaseException:
            # Nothing of this look is in the tables, so the next one starts from where they stand.
            self._connection.rollback()
            self._begin()
            raise

    def _looks(self, table: Table, first: _Look) -> Iterator[_Look]:
        """``first`` and, up to a limit, what follows, each read while the one before is stored."""
        yield_next, size = first, _size(first)
        if not first.batch.more:
            yield first
            return
        with ThreadPoolExecutor(1, thread_name_prefix="read-logs") as reader:
            while yield_next.batch.more and size < _MAX_REFRESH_BYTES:
                upcoming = reader.submit(self._look, table)
                yield yield_next
                yield_next = upcoming.result()
                size += _size(yield_next)
        yield yield_next

    def _look(self, table: Table) -> _Look:
        tail = self._tails[table.kind]
        before = tail.positions().keys()
        batch = tail.read()
        rows: list[tuple[str, Any]] = []
        rejects = list(batch.rejects)
        for block in batch.blocks:
            found, bad = self._read(table, block)
            rows += found
            rejects += bad
        # A file that is new to the tail is read from its start, whatever the tables hold of it.
        anew = {path.name for path in batch.restarted} | (tail.positions().keys() - before)
        return _Look(batch, frozenset(anew), tuple(rows), tuple(rejects))

    def _read(self, table: Table, block: Block) -> tuple[list[tuple[str, Any]], list[Reject]]:
        rows, rejects = self._columns[table.kind].read(block)
        if rows is None:
            return [], rejects
        if table.kind == "preview":
            rows = rows.append_column("rule_pattern", self._patterns(rows))
        return [(block.file.name, rows)], rejects

    def _patterns(self, rows: Any) -> Any:
        if not self._rules:
            return self._arrow.repeat(OTHER, rows.num_rows)
        names = self._rules.patterns_of(
            rows.column("dataset_id").to_pylist(), rows.column("prompt").to_pylist()
        )
        return self._arrow.array(names, self._arrow.string())

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
        archives = {path.stem: path for path in directory.glob(self._run.log_glob(kind) + ".gz")}
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

    def _add(
        self, table: Table, rows: Iterable[tuple[str, Any]], rejects: Sequence[Reject]
    ) -> Refresh:
        added = 0
        for file, part in rows:
            self._insert(table, file, part)
            added += part.num_rows
        if rejects:
            self._insert_rejects(table.kind, rejects)
        return Refresh(added, len(rejects))

    def _insert(self, table: Table, file: str, rows: Any) -> None:
        filled, count = self._filled[table.kind], rows.num_rows
        first, last = (
            _Place(rows.column("ts")[at].as_py(), file, rows.column("line")[at].as_py())
            for at in (0, count - 1)
        )
        if filled.last is not None and first < filled.last:
            earlier = filled.disordered_from or first.ts
            filled.disordered_from = min(earlier, first.ts)
        numbers = self._arrow.array(range(filled.rows + 1, filled.rows + count + 1))
        self._connection.register("incoming", rows.append_column("seq", numbers))
        self._connection.execute(table.insert, {"file": file, "run": self._run_id})
        self._connection.unregister("incoming")
        filled.rows += count
        filled.last = last if filled.last is None else max(filled.last, last)

    def _insert_rejects(self, kind: LogKind, rejects: Sequence[Reject]) -> None:
        found = {
            "kind": [kind] * len(rejects),
            "file": [reject.file.name for reject in rejects],
            "line": [reject.line_number for reject in rejects],
            "reason": [reject.reason for reject in rejects],
        }
        self._connection.register("incoming", self._arrow.table(found))
        self._connection.execute("INSERT INTO rejects BY NAME SELECT * FROM incoming")
        self._connection.unregister("incoming")

    def _put_in_order(self, table: Table) -> None:
        """Number the rows by time, then file position, from where they are out of order."""
        filled = self._filled[table.kind]
        if filled.disordered_from is None:
            return
        self._connection.execute(
            f"UPDATE {table.name} SET seq = ordered.seq FROM ("
            "SELECT rowid AS id, row_number() OVER (ORDER BY ts, file, line) "
            f"+ (SELECT count(*) FROM {table.name} WHERE ts < $since) AS seq "
            f"FROM {table.name} WHERE ts >= $since) AS ordered "
            f"WHERE {table.name}.rowid = ordered.id AND {table.name}.seq <> ordered.seq",
            {"since": filled.disordered_from},
        )
        filled.disordered_from = None

    def _forget(self, table: Table, names: Sequence[str]) -> None:
        filled = self._filled[table.kind]
        for name in names:
            values = [table.kind, name]
            self._connection.execute("DELETE FROM files WHERE kind = ? AND name = ?", values)
            self._connection.execute("DELETE FROM rejects WHERE kind = ? AND file = ?", values)
            ((first,),) = self._connection.execute(
                f"SELECT min(ts) FROM {table.name} WHERE file = ?", [name]
            ).fetchall()
            if first is not None:
                self._connection.execute(f"DELETE FROM {table.name} WHERE file = ?", [name])
                # At once, as rows to come are numbered on from the last.
                filled.disordered_from = min(filled.disordered_from or first, first)
                self._put_in_order(table)
                self._filled[table.kind] = filled = self._measure(table)

    def _keep_positions(self, kind: LogKind) -> None:
        for name, at in self._tails[kind].positions().items():
            self._connection.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)",
                [kind, name, at.inode, at.offset, at.lines, at.fingerprint, at.skipping],
            )

    def _add_archive(self, table: Table, path: Path) -> Refresh:
        """Take in a compressed day. A damaged one gives what can be read of it, and a problem."""
        result = Refresh()
        day, size = path.stem, _size_of(path)
        self._forget(table, [day])
        self._damaged.pop(path, None)
        try:
            for found in archive_blocks(path):
                rows, rejects = (
                    ([], [found]) if isinstance(found, Reject) else self._read(table, found)
                )
                result = result.plus(self._add(table, rows, rejects))
        except (DamagedArchive, OSError) as error:
            told = f"{path} is damaged ({error}): what could be read of it is shown."
            self._damaged[path] = _Damage(table.kind, size, told)
        self._connection.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, 0, ''::BLOB, ?)",
            [table.kind, day, _ARCHIVED, size, path in self._damaged],
        )
        return result

    def _archive_problems(self, kind: LogKind) -> tuple[str, ...]:
        return tuple(of.problem for of in self._damaged.values() if of.kind == kind)


def _size(look: _Look) -> int:
    return sum(len(block.data) for block in look.batch.blocks)


def _size_of(path: Path) -> int:
    """In bytes; -1 when it is gone."""
    try:
        return path.stat().st_size
    except OSError:
        return -1
