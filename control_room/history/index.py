"""The logs of a run as DuckDB tables, fed with what was appended since the last look.

The logs are the truth: an index on disk is a cache beside the run, and one that is of another
version, damaged or gone is built again.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from control_room.history.schema import TABLES, VERSION, Table
from control_room.history.tail import Line, LogTail, Position, Reject
from control_room.records import PreviewRecord, parse_line
from control_room.rundir import LogKind, RunDir

if TYPE_CHECKING:
    import duckdb

_FIXED_TABLES = """
CREATE TABLE about (version INTEGER);
CREATE TABLE files (
    kind VARCHAR, name VARCHAR, inode BIGINT, "offset" BIGINT, lines BIGINT, fingerprint BLOB,
    skipping BOOLEAN,
    PRIMARY KEY (kind, name)
);
CREATE TABLE rejects (kind VARCHAR, file VARCHAR, line BIGINT, reason VARCHAR);
"""
_ARCHIVED = -1  # in place of the inode of a day that was read from its archive
_ARCHIVE_LINES = 20_000  # of an archive, put into the table at once


class MissingExtra(ImportError):
    """A package of the ``history`` extra is not installed."""


class IndexInUse(RuntimeError):
    """Another process has the index open."""


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
    archives: tuple[Path, ...] = ()  # of days that no table holds yet


class HistoryIndex:
    """The tables ``previews``, ``throughput``, ``metrics`` and ``rejects`` of one run.

    ``database`` is where the cache is kept, None holds it in memory. ``pattern_of`` names the
    pattern of a record that has none of its own. Raises :class:`IndexInUse` when another process
    has the database open, :class:`MissingExtra` without DuckDB. One thread refreshes; any thread
    may ask through its own :meth:`cursor`.
    """

    def __init__(
        self,
        run: RunDir,
        *,
        database: Path | None = None,
        memory_limit_mb: int = 512,
        pattern_of: Callable[[PreviewRecord], str | None] = lambda record: None,
    ) -> None:
        self._run = run
        self._run_id = run.path.resolve().name
        self._pattern_of = pattern_of
        self._arrow = _extra("pyarrow")
        self._connection = _open(database, memory_limit_mb)
        self._tails: dict[LogKind, LogTail] = {}
        self._looked_at_ns: dict[LogKind, int] = {}
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
        for kind in TABLES:
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
        self._looked_at_ns.clear()

    def _refresh(self, table: Table) -> Refresh:
        tail = self._tails[table.kind]
        before = tail.positions().keys()
        batch = tail.read()
        days = self._changed_days(table.kind)
        # A file that is new to the tail is read from its start, whatever the tables hold of it.
        anew = {path.name for path in batch.restarted} | (tail.positions().keys() - before)
        if not (batch.lines or batch.rejects or anew or days.lost or days.archives):
            return Refresh(problems=batch.problems, more=batch.more)
        self._connection.begin()
        try:
            self._forget(table, sorted(anew | days.lost))
            result = self._add(table, batch.lines, batch.rejects)
            self._keep_positions(table.kind, tail.positions())
            for archive in days.archives:
                result = result.plus(self._add_archive(table, archive))
            self._connection.commit()
        except BaseException:
            # Nothing of this look is in the tables, so the next one starts from where they stand.
            self._connection.rollback()
            self._begin()
            raise
        return Refresh(
            result.added, result.rejected, (*batch.problems, *result.problems), batch.more
        )

    def _changed_days(self, kind: LogKind) -> _Days:
        """What came and went among the days, when anything did since the last look."""
        directory = self._run.logs(kind)
        try:
            changed_ns = directory.stat().st_mtime_ns
        except OSError:
            changed_ns = -1
        if self._looked_at_ns.get(kind) == changed_ns:
            return _Days()
        self._looked_at_ns[kind] = changed_ns
        rows = self._connection.execute("SELECT name FROM files WHERE kind = ?", [kind]).fetchall()
        known = {name for (name,) in rows}
        plain = {path.name for path in directory.glob(self._run.log_glob(kind))}
        archives = {path.stem: path for path in directory.glob(self._run.log_glob(kind) + ".gz")}
        return _Days(
            lost=frozenset(known - plain - archives.keys()),
            archives=tuple(archives[day] for day in sorted(archives.keys() - plain - known)),
        )

    def _add(self, table: Table, lines: Sequence[Line], rejects: Sequence[Reject]) -> Refresh:
        rows: list[dict[str, Any]] = []
        bad = list(rejects)
        for line in lines:
            try:
                record = parse_line(table.record, line.data)
            except ValueError as error:
                bad.append(Reject(line.file, line.number, str(error)))
                continue
            row = table.row(record, self._run_id)
            if isinstance(record, PreviewRecord) and record.pattern is None:
                row["pattern"] = self._pattern_of(record)
            row["file"], row["line"] = line.file.name, line.number
            rows.append(row)
        if rows:
            self._insert(table, rows)
        for reject in bad:
            self._connection.execute(
                "INSERT INTO rejects VALUES (?, ?, ?, ?)",
                [table.kind, reject.file.name, reject.line_number, reject.reason],
            )
        return Refresh(len(rows), len(bad))

    def _insert(self, table: Table, rows: list[dict[str, Any]]) -> None:
        rows.sort(key=lambda row: (row["ts"], row["file"], row["line"]))
        last_seq, last_ts = self._connection.execute(
            f"SELECT coalesce(max(seq), 0), max(ts) FROM {table.name}"
        ).fetchall()[0]
        for seq, row in enumerate(rows, start=last_seq + 1):
            row["seq"] = seq
        batch = self._arrow.Table.from_pylist(rows, schema=_arrow_schema(self._arrow, table))
        self._connection.register("incoming", batch)
        self._connection.execute(f"INSERT INTO {table.name} BY NAME SELECT * FROM incoming")
        self._connection.unregister("incoming")
        if last_ts is not None and rows[0]["ts"] < last_ts:
            self._renumber(table)

    def _renumber(self, table: Table) -> None:
        """Put ``seq`` in order of time, then file position, without gaps."""
        self._connection.execute(
            f"UPDATE {table.name} AS old SET seq = ordered.seq FROM ("
            f"SELECT file, line, row_number() OVER (ORDER BY ts, file, line) AS seq "
            f"FROM {table.name}) AS ordered WHERE old.file = ordered.file "
            "AND old.line = ordered.line AND old.seq <> ordered.seq"
        )

    def _forget(self, table: Table, names: Sequence[str]) -> None:
        for name in names:
            values = [table.kind, name]
            self._connection.execute("DELETE FROM files WHERE kind = ? AND name = ?", values)
            self._connection.execute("DELETE FROM rejects WHERE kind = ? AND file = ?", values)
            self._connection.execute(f"DELETE FROM {table.name} WHERE file = ?", [name])
        if names:
            self._renumber(table)

    def _keep_positions(self, kind: LogKind, positions: dict[str, Position]) -> None:
        for name, at in positions.items():
            self._connection.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)",
                [kind, name, at.inode, at.offset, at.lines, at.fingerprint, at.skipping],
            )

    def _add_archive(self, table: Table, path: Path) -> Refresh:
        """Take in a compressed day. A damaged one gives what can be read of it, and a problem."""
        result = Refresh()
        lines: list[Line] = []
        try:
            for line in _archive_lines(path):
                lines.append(line)
                if len(lines) >= _ARCHIVE_LINES:
                    result = result.plus(self._add(table, lines, ()))
                    lines = []
        except (OSError, EOFError, zlib.error) as error:
            told = f"{path} is damaged ({error}): what could be read of it is shown."
            result = result.plus(Refresh(problems=(told,)))
        self._connection.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, 0, 0, ''::BLOB, false)",
            [table.kind, path.stem, _ARCHIVED],
        )
        return result.plus(self._add(table, lines, ()))


def _archive_lines(path: Path) -> Iterator[Line]:
    # Rows carry the name of the day's plain file, whichever form it was read in.
    day = path.with_suffix("")
    with gzip.open(path, "rb") as file:
        for number, data in enumerate(file, start=1):
            if data.strip():
                yield Line(day, number, data.rstrip(b"\n"))


def _open(database: Path | None, memory_limit_mb: int) -> Any:
    duckdb = _extra("duckdb")
    config = {"memory_limit": f"{memory_limit_mb}MB"}
    if database is None:
        connection = duckdb.connect(":memory:", config=config)
    else:
        database.parent.mkdir(parents=True, exist_ok=True)
        connection = _reopen(duckdb, database, config)
        if connection is None:
            for leftover in (database, database.with_name(f"{database.name}.wal")):
                leftover.unlink(missing_ok=True)
            connection = duckdb.connect(str(database), config=config)
    if _version(duckdb, connection) is None:
        connection.execute(_FIXED_TABLES)
        for table in TABLES.values():
            connection.execute(table.create)
        connection.execute("INSERT INTO about VALUES (?)", [VERSION])
    return connection


def _reopen(duckdb: Any, database: Path, config: dict[str, str]) -> Any:
    """The database as it was left; None when it cannot be trusted and is to be built again."""
    try:
        connection = duckdb.connect(str(database), config=config)
    except duckdb.IOException as error:
        if "lock" not in str(error):
            return None
        raise IndexInUse(
            f"{database} is open in another process: stop it, ask its API, "
            "or build an index in memory (database=None)."
        ) from None
    except duckdb.Error:
        return None
    if _version(duckdb, connection) in (None, VERSION):
        return connection
    connection.close()
    return None


def _version(duckdb: Any, connection: Any) -> int | None:
    """The version of the tables, None when there are none; -1 when they cannot be read."""
    try:
        rows = connection.execute("SELECT version FROM about").fetchall()
    except duckdb.CatalogException:
        return None
    except duckdb.Error:
        return -1
    return int(rows[0][0]) if rows else -1


def _arrow_schema(arrow: Any, table: Table) -> Any:
    types = {
        "VARCHAR": arrow.string(),
        "BIGINT": arrow.int64(),
        "DOUBLE": arrow.float64(),
        "BOOLEAN": arrow.bool_(),
        "TIMESTAMP": arrow.timestamp("us"),
        "DOUBLE[]": arrow.list_(arrow.float64()),
        "MAP(VARCHAR, BOOLEAN)": arrow.map_(arrow.string(), arrow.bool_()),
    }
    columns = dict(table.columns)
    if table.kind == "preview":
        columns["search"] = "VARCHAR"
    columns |= {"seq": "BIGINT", "file": "VARCHAR", "line": "BIGINT"}
    return arrow.schema([(name, types[sql]) for name, sql in columns.items()])


def _extra(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise MissingExtra(
            f"the history needs {name}: install it with `pip install control-room[history]`"
        ) from None
