"""Writes one table of the index: streams rows in, numbers them by time, takes a file's out again.

All of it inside a transaction of the caller's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from control_room.extra import load_extra
from control_room.history.folding import fold_column
from control_room.history.row_sizes import row_sizes
from control_room.logs.arrow_columns import SMALL_BLOCK_BYTES, Columns, arrow_type
from control_room.logs.inference_log import parse_inference_line
from control_room.logs.patterns import OTHER, PatternRules
from control_room.logs.rejects import Rejects
from control_room.logs.repeats import FIND_REPEATS
from control_room.logs.schema import LONG_TEXTS, SEARCH_SEPARATOR, SIZE, Table
from control_room.logs.step_limit import BEYOND, FEW, check_step
from control_room.logs.tail import Block, Reject
from control_room.recording.fields import MAX_STEP

_TOGETHER_BYTES = 2**20  # of small blocks that are read line by line, together
_BATCH_BYTES = 4 * 2**20  # of rows that are handed to the database in one piece


@dataclass(frozen=True, slots=True)
class Part:
    """Some lines, read: rows ready for the table, as Arrow, and the lines that are no records."""

    rows: Any | None
    rejects: tuple[Reject, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    """Where a row stands in the order of a table."""

    ts: datetime
    file: str
    line: int


class TableWriter:
    """The writing side of ``table`` on ``connection``. Only :meth:`read` may run in any thread."""

    def __init__(self, connection: Any, table: Table, run_id: str, rules: PatternRules) -> None:
        self._connection = connection
        self._table = table
        self._run_id = run_id
        self._rules = rules
        self._arrow = load_extra("pyarrow")
        self._compute = load_extra("pyarrow.compute")
        self._columns = Columns(table)
        self._of_inference_logs = Columns(table, parse_inference_line)
        self._schema = self._arrow.schema(
            [(name, arrow_type(self._arrow, sql)) for name, sql in table.all_columns.items()]
        )
        self._count = 0
        self._last: _Place | None = None
        self._disordered_from: datetime | None = None
        self._added: tuple[datetime, datetime] | None = None  # the times of what is new
        self.max_step = MAX_STEP
        self.measure()

    def measure(self) -> None:
        """Take up the table as it stands, as after a rollback."""
        query = f"SELECT seq, ts, file, line FROM {self._table.name} ORDER BY seq DESC LIMIT 1"
        self._count, self._last, self._disordered_from = 0, None, None
        for seq, ts, file, line in self._connection.execute(query).fetchall():
            self._count, self._last = seq, _Place(ts, file, line)

    def read_all(self, blocks: Iterable[Block]) -> Iterator[Part]:
        """The records and rejects of the blocks; small ones of many files make one part."""
        small: list[Block] = []
        size = 0
        for block in blocks:
            if len(block.data) >= SMALL_BLOCK_BYTES or not _is_own(block):
                yield self.read(block)
                continue
            small.append(block)
            size += len(block.data)
            if size >= _TOGETHER_BYTES:
                yield self._part(*self._columns.read_lines(*small))
                small, size = [], 0
        if small:
            yield self._part(*self._columns.read_lines(*small))

    def read(self, block: Block) -> Part:
        """The records and rejects of a block."""
        columns = self._columns if _is_own(block) else self._of_inference_logs
        return self._part(*columns.read(block))

    def _part(self, rows: Any, rejects: list[Reject]) -> Part:
        if rows is not None:
            rows = self._plausible(rows, rejects)
        if rows is not None:
            rows = self._filled(rows, "run_id", self._run_id)
            if self._table.kind == "preview":
                rows = self._filled(rows, "pattern", self._patterns(rows))
                rows = rows.append_column(SIZE, row_sizes(rows))
                rows = rows.append_column("search", self._searched(rows))
        return Part(rows, tuple(rejects))

    def add(self, parts: Iterable[Part]) -> tuple[int, int]:
        """Append the parts as they come; return how many rows and rejects there were."""
        before, rejects = self._count, Rejects()
        self._added = None
        reader = self._arrow.RecordBatchReader.from_batches(
            self._schema, self._batches(parts, rejects)
        )
        self._take("incoming", reader, self._table.name)
        if rejects.lines:
            self._add_rejects(rejects.listed())
        added = self._count - before
        times: tuple[datetime, datetime] | None = self._added
        if times is not None and self._table.kind == "preview":
            added -= self._take_out_repeats(*times)
        return added, rejects.lines

    def files_to_judge_anew(self, max_step: int) -> list[str]:
        """Files with lines that ``max_step`` judges otherwise than they were judged.

        From then on it is the limit; more than a few lines beyond it are no mistakes.
        """
        name, kind = self._table.name, self._table.kind
        ((rows,),) = self._connection.execute(
            f"SELECT count(*) FROM {name} WHERE step > ?", [max_step]
        ).fetchall()
        rejects = (
            f"FROM rejects WHERE kind = ? AND contains(reason, '{BEYOND}') "
            "AND regexp_extract(replace(reason, ',', ''), 'step (\\d+)', 1)::BIGINT"
        )
        ((left_out,),) = self._connection.execute(
            f"SELECT coalesce(sum(lines), 0) {rejects} > ?", [kind, max_step]
        ).fetchall()
        self.max_step = max_step = MAX_STEP if rows + left_out > FEW else max_step
        found = self._connection.execute(
            f"SELECT DISTINCT file FROM {name} WHERE step > ? UNION SELECT file {rejects} <= ?",
            [max_step, kind, max_step],
        ).fetchall()
        return [file for (file,) in found]

    def files_of_lost_originals(self) -> list[str]:
        """Files whose rows were left out as repeats of rows that are there no more."""
        rows = self._connection.execute(
            f"SELECT DISTINCT file FROM repeats ANTI JOIN {self._table.name} AS kept "
            "ON kept.file = first_file AND kept.line = first_line"
        ).fetchall()
        return [file for (file,) in rows]

    def forget(self, files: Collection[str]) -> None:
        """Take out everything that came from the files."""
        execute, names = self._connection.execute, list(files)
        of_kind, these = [self._table.kind, names], "IN (SELECT unnest(?))"
        execute(f"DELETE FROM files WHERE kind = ? AND name {these}", of_kind)
        execute(f"DELETE FROM rejects WHERE kind = ? AND file {these}", of_kind)
        name = self._table.name
        if self._table.kind == "preview":
            execute(f"DELETE FROM repeats WHERE file {these}", [names])
        query = f"SELECT min(ts) FROM {name} WHERE file {these}"
        ((first,),) = execute(query, [names]).fetchall()
        if first is not None:
            execute(f"DELETE FROM {name} WHERE file {these}", [names])
            # At once, as rows to come are numbered on from the last.
            self._disorder(first)
            self.put_in_order()
            self.measure()

    def put_in_order(self) -> None:
        """Number the rows by time, then file position, from where they are out of order."""
        if self._disordered_from is None:
            return
        name = self._table.name
        self._connection.execute(
            f"UPDATE {name} SET seq = ordered.seq FROM ("
            "SELECT rowid AS id, row_number() OVER (ORDER BY ts, file, line) "
            f"+ (SELECT count(*) FROM {name} WHERE ts < $since) AS seq "
            f"FROM {name} WHERE ts >= $since) AS ordered "
            f"WHERE {name}.rowid = ordered.id AND {name}.seq <> ordered.seq",
            {"since": self._disordered_from},
        )
        self._disordered_from = None

    def _batches(self, parts: Iterable[Part], rejects: Rejects) -> Iterator[Any]:
        # DuckDB sets memory aside for each batch, however small.
        waiting: list[Any] = []
        size = 0
        for part in parts:
            rejects.add_all(part.rejects)
            if part.rows is None:
                continue
            waiting.append(self._numbered(part.rows))
            size += part.rows.nbytes
            if size >= _BATCH_BYTES:
                yield from self._together(waiting)
                waiting, size = [], 0
        if waiting:
            yield from self._together(waiting)

    def _together(self, rows: Sequence[Any]) -> Iterator[Any]:
        if len(rows) == 1:
            yield from rows[0].to_batches()
        else:
            yield from self._arrow.concat_tables(rows).combine_chunks().to_batches()

    def _numbered(self, rows: Any) -> Any:
        count = rows.num_rows
        first, last = (
            _Place(*(rows.column(name)[at].as_py() for name in ("ts", "file", "line")))
            for at in (0, count - 1)
        )
        if self._last is not None and first < self._last:
            self._disorder(first.ts)
        earliest, latest = (first.ts, last.ts) if self._added is None else self._added
        self._added = min(earliest, first.ts), max(latest, last.ts)
        seq = self._arrow.array(range(self._count + 1, self._count + count + 1))
        self._count += count
        self._last = last if self._last is None else max(self._last, last)
        return rows.append_column("seq", seq).select(self._schema.names)

    def _take_out_repeats(self, first: datetime, last: datetime) -> int:
        """Leave out rows that repeat another of the same time; return how many."""
        found = self._connection.execute(FIND_REPEATS, {"first": first, "last": last}).fetchall()
        if found:
            ids, times = [row[0] for row in found], [row[1] for row in found]
            self._connection.executemany(
                "INSERT INTO repeats VALUES (?, ?, ?, ?)", [row[2:] for row in found]
            )
            query = f"DELETE FROM {self._table.name} WHERE rowid IN (SELECT unnest(?))"
            self._connection.execute(query, [ids])
            self._disorder(min(times))
            self.put_in_order()
            self.measure()
        return len(found)

    def _plausible(self, rows: Any, rejects: list[Reject]) -> Any:
        """The rows whose steps can be meant, None without any; the others become rejects."""
        steps = rows.column("step")
        largest = self._compute.max(steps).as_py()
        if largest is None or largest <= self.max_step:
            return rows
        beyond = self._compute.fill_null(self._compute.greater(steps, self.max_step), False)
        for row in rows.filter(beyond).select(["file", "line", "step"]).to_pylist():
            try:
                check_step(row["step"], self.max_step)
            except ValueError as error:
                rejects.append(Reject(Path(row["file"]), row["line"], str(error)))
        rows = rows.filter(self._compute.invert(beyond))
        return rows if rows.num_rows else None

    def _disorder(self, since: datetime) -> None:
        before = self._disordered_from
        self._disordered_from = since if before is None else min(before, since)

    def _add_rejects(self, rejects: Sequence[Reject]) -> None:
        rows = {
            "kind": [self._table.kind] * len(rejects),
            "file": [reject.file.name for reject in rejects],
            "line": [reject.line_number for reject in rejects],
            "reason": [reject.reason for reject in rejects],
            "lines": [reject.lines for reject in rejects],
        }
        self._take("rejected", self._arrow.table(rows), "rejects")

    def _take(self, name: str, rows: Any, table: str) -> None:
        self._connection.register(name, rows)
        self._connection.execute(f"INSERT INTO {table} FROM {name}")
        self._connection.unregister(name)

    def _filled(self, rows: Any, name: str, instead: Any) -> Any:
        """The rows with ``instead`` (one value, or one for each row) where ``name`` is null."""
        place = rows.schema.get_field_index(name)
        return rows.set_column(place, name, self._compute.coalesce(rows.column(name), instead))

    def _patterns(self, rows: Any) -> Any:
        if not self._rules:
            return OTHER
        names = self._rules.patterns_of(
            rows.column("dataset_id").to_pylist(), rows.column("prompt").to_pylist()
        )
        return self._arrow.array(names, self._arrow.string())

    def _searched(self, rows: Any) -> Any:
        """What a free text is looked for in."""
        texts = [rows.column(name) for name in LONG_TEXTS]
        joined = self._compute.binary_join_element_wise(
            *texts, SEARCH_SEPARATOR, null_handling="replace"
        )
        return fold_column(joined)


def _is_own(block: Block) -> bool:
    """Whether a Recorder wrote it, and not another system."""
    return block.file.suffix == ".jsonl"
