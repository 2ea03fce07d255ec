"""What is asked of the history: plain SQL in one place, every parameter bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from control_room.history.filters import CHOICES, PreviewFilter
from control_room.history.greedy import CHECKPOINT_STEP, COUNTED, GREEDY
from control_room.history.schema import TABLES
from control_room.records import PreviewRecord

if TYPE_CHECKING:
    import duckdb

Cursor: TypeAlias = "duckdb.DuckDBPyConnection"

# How a preview is named outside: its day, which part of it after the first, its line in that log.
# Of another system's log: the name of its file, and the line.
PREVIEW_ID = r"^(\d{4}-\d{2}-\d{2}(\.part\d{1,6})?|inference_[\w.-]{1,60})\.\d{1,15}$"

_OWN_LOGS = "preview_history_"  # how the names of their files begin
_SAME_EXAMPLE = "example_id = ? AND dataset_id IS NOT DISTINCT FROM ?"

# Rows of previews are counted in buckets of this many places in time (as a power of two), so that
# the page at any offset is looked for in few of them.
_BUCKET_BITS = 13
_FEW_BUCKETS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewRow(PreviewRecord):
    """One preview of the history: the record and where it stands. ``seq``: place in time, from 1.

    The lists (:data:`LIST_COLUMNS`) are None where they were not asked for.
    """

    ts: datetime
    seq: int
    file: str
    line: int

    def __post_init__(self) -> None:
        """Nothing to check: it was, when it was read from its log."""

    @property
    def id(self) -> str:
        """Its day and line in the logs, which stay what they are."""
        name = self.file.removeprefix(_OWN_LOGS).removesuffix(".jsonl").removesuffix(".log")
        return f"{name}.{self.line}"


PREVIEW_COLUMNS = tuple(each.name for each in fields(PreviewRow))
# Hundreds of numbers each: they are read where somebody wants them.
LIST_COLUMNS = tuple(n for n, sql in TABLES["preview"].columns.items() if sql.endswith("[]"))
_SHORT_COLUMNS = tuple(name for name in PREVIEW_COLUMNS if name not in LIST_COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputRow:
    """One throughput sample of the history."""

    ts: datetime
    step: int
    tokens_per_sec: float
    vram_used_gb: float | None
    vram_pct: float | None
    batch_size: int | None
    sequence_length: int | None


@dataclass(frozen=True, slots=True)
class Series:
    """One metric: (step, value) as logged, thinned; ``total`` finite values, and how many not."""

    points: tuple[tuple[int, float], ...]
    total: int
    not_finite: int


@dataclass(frozen=True, slots=True)
class PreviewPage:
    """One page, newest first. ``total`` previews match, of ``total_all``."""

    rows: tuple[PreviewRow, ...]
    total: int
    total_all: int


def preview_page(
    cursor: Cursor, wanted: PreviewFilter, *, limit: int, offset: int, lists: bool = False
) -> PreviewPage:
    """The newest previews that match, ``offset`` of them skipped; with their lists on request."""
    total_all = _one(cursor, "SELECT count(*) FROM previews", [])
    if not wanted:
        # seq has no gaps, so a range of it is the page, however far back.
        newest = total_all - offset
        found = _rows(cursor, "seq > ? AND seq <= ?", [newest - limit, newest], lists=lists)
        return PreviewPage(found, total_all, total_all)
    where, values = wanted.where()
    query = (
        f"SELECT seq >> {_BUCKET_BITS} AS bucket, count(*) FROM previews WHERE {where} "
        "GROUP BY bucket ORDER BY bucket DESC"
    )
    buckets = cursor.execute(query, values).fetchall()
    total = sum(count for _, count in buckets)
    lowest, highest, skipped = _buckets_of_page(buckets, limit, offset)
    condition = f"seq >= ? AND seq < ? AND {where}"
    places = [lowest << _BUCKET_BITS, (highest + 1) << _BUCKET_BITS, *values]
    # Long texts are best read once it is known of which rows, unless there are few to look at.
    narrow = highest - lowest < _FEW_BUCKETS
    page = (limit, offset - skipped)
    find = _rows if narrow else _rows_by_place
    return PreviewPage(find(cursor, condition, places, page, lists=lists), total, total_all)


def _buckets_of_page(
    buckets: Sequence[tuple[int, int]], limit: int, offset: int
) -> tuple[int, int, int]:
    """The lowest and highest bucket that hold a page, and how many rows are in those above.

    ``buckets`` are (bucket, rows in it) from the highest down.
    """
    passed, lowest, highest, skipped = 0, 0, -1, 0
    for bucket, count in buckets:
        if passed + count > offset:
            if highest < 0:
                highest, skipped = bucket, passed
            lowest = bucket
        passed += count
        if passed >= offset + limit:
            break
    return lowest, highest, skipped


def preview_neighbours(
    cursor: Cursor, wanted: PreviewFilter, seq: int
) -> tuple[int | None, int | None]:
    """The ``seq`` of the next newer and the next older preview that match."""
    where, values = wanted.where()
    newer = f"SELECT min(seq) FROM previews WHERE seq > ? AND {where}"
    older = f"SELECT max(seq) FROM previews WHERE seq < ? AND {where}"
    return _one(cursor, newer, [seq, *values]), _one(cursor, older, [seq, *values])


def preview(cursor: Cursor, seq: int) -> PreviewRow | None:
    """One preview whole by its place in time."""
    return next(iter(_rows(cursor, "seq = ?", [seq], lists=True)), None)


def previews_at(
    cursor: Cursor, seqs: Sequence[int], *, lists: bool = False
) -> dict[int, PreviewRow]:
    """Previews by their places in time."""
    if not seqs:
        return {}
    bounds = [min(seqs), max(seqs)]  # lets the database pass over everything outside
    condition = "seq BETWEEN ? AND ? AND seq IN (SELECT unnest(?))"
    rows = _rows(cursor, condition, [*bounds, list(seqs)], lists=lists)
    return {row.seq: row for row in rows}


def preview_by_id(cursor: Cursor, preview_id: str) -> PreviewRow | None:
    """One preview whole by its :attr:`~PreviewRow.id`."""
    name, _, line = preview_id.rpartition(".")
    values = [f"{_OWN_LOGS}{name}.jsonl", f"{name}.log", int(line)]
    condition = "file IN (?, ?) AND line = ?"
    return next(iter(_rows(cursor, condition, values, lists=True)), None)


def same_example(cursor: Cursor, row: PreviewRow, *, limit: int) -> tuple[PreviewRow, ...]:
    """The newest answers to the same example, newest first; none when it has no id.

    Of several samples of a round only the first is among them.
    """
    if row.example_id is None:
        return ()
    values = [row.example_id, row.dataset_id]
    return _rows(cursor, f"{_SAME_EXAMPLE} AND {GREEDY}", values, (limit, 0))


def turning_points(cursor: Cursor, row: PreviewRow) -> list[tuple[int, bool]]:
    """The steps from which the row's example was right, or wrong: (step, right), the first too.

    Over all its answers that count, in the order they were given; none when it has no id.
    """
    query = (
        "SELECT step, exact_match FROM previews "
        f"WHERE {_SAME_EXAMPLE} AND {COUNTED} "
        "QUALIFY exact_match IS DISTINCT FROM lag(exact_match) OVER (ORDER BY seq) ORDER BY seq"
    )
    return cursor.execute(query, [row.example_id, row.dataset_id]).fetchall()


def checkpoints(cursor: Cursor) -> list[str]:
    """Every checkpoint that was asked, in the order of their steps."""
    query = (
        "SELECT checkpoint_id FROM previews WHERE checkpoint_id IS NOT NULL "
        f"GROUP BY checkpoint_id ORDER BY {CHECKPOINT_STEP}, checkpoint_id"
    )
    return [name for (name,) in cursor.execute(query).fetchall()]


def newest_throughput(cursor: Cursor, *, limit: int) -> list[ThroughputRow]:
    """The newest throughput samples, newest first."""
    names = list(ThroughputRow.__dataclass_fields__)
    query = f"SELECT {', '.join(names)} FROM throughput ORDER BY seq DESC LIMIT ?"
    rows = []
    for values in cursor.execute(query, [limit]).fetchall():
        named = dict(zip(names, values, strict=True))
        named["ts"] = named["ts"].replace(tzinfo=UTC)
        rows.append(ThroughputRow(**named))
    return rows


def metric_series(
    cursor: Cursor,
    field: str,
    *,
    points: int,
    min_step: int | None = None,
    max_step: int | None = None,
) -> Series:
    """One column of the metrics, thinned to at most ``points``.

    The values are cut into stretches of equal count, and each gives its lowest and its highest.
    """
    if field not in TABLES["metrics"].columns:
        raise ValueError(f"{field} is not one of {', '.join(TABLES['metrics'].columns)}")
    where, values = f"{field} IS NOT NULL", []
    for condition, bound in (("step >= ?", min_step), ("step <= ?", max_step)):
        if bound is not None:
            where += f" AND {condition}"
            values.append(bound)
    query = f"SELECT count(*) FILTER (isfinite({field})), count(*) FROM metrics WHERE {where}"
    ((total, every),) = cursor.execute(query, values).fetchall()
    if total <= points:
        query = (
            f"SELECT step, {field} FROM metrics WHERE {where} AND isfinite({field}) ORDER BY seq"
        )
        return Series(tuple(cursor.execute(query, values).fetchall()), total, every - total)
    query = (
        f"WITH numbered AS (SELECT seq, step, {field} AS value, "
        f"(row_number() OVER (ORDER BY seq) - 1) * ? // ? AS stretch "
        f"FROM metrics WHERE {where} AND isfinite({field})), "
        "ends AS (SELECT arg_min({'seq': seq, 'step': step, 'value': value}, value) AS low, "
        "arg_max({'seq': seq, 'step': step, 'value': value}, value) AS high "
        "FROM numbered GROUP BY stretch) "
        "SELECT DISTINCT unnest([low.seq, high.seq]) AS seq, "
        "unnest([low.step, high.step]) AS step, unnest([low.value, high.value]) AS value "
        "FROM ends ORDER BY seq"
    )
    rows = cursor.execute(query, [points // 2, total, *values]).fetchall()
    return Series(tuple((step, value) for _, step, value in rows), total, every - total)


def choices(cursor: Cursor, column: str) -> list[str]:
    """The values that occur in one of :data:`CHOICES`, in order of the alphabet."""
    if column not in CHOICES:
        raise ValueError(f"{column} is not one of {', '.join(CHOICES)}")
    query = f"SELECT DISTINCT {column} FROM previews WHERE {column} IS NOT NULL ORDER BY 1"
    return [value for (value,) in cursor.execute(query).fetchall()]


def reject_counts(cursor: Cursor) -> list[tuple[str, int, int, str]]:
    """Of each file with lines that cannot be read: name, how many, the newest and its reason."""
    query = (
        "SELECT file, count(*), max(line), arg_max(reason, line) "
        "FROM rejects GROUP BY file ORDER BY file DESC"
    )
    return cursor.execute(query).fetchall()


def _rows(
    cursor: Cursor,
    condition: str,
    values: Sequence[Any],
    page: tuple[int, int] | None = None,
    *,
    lists: bool = False,
) -> tuple[PreviewRow, ...]:
    """The rows, newest first; of ``page``, a limit and an offset."""
    columns = PREVIEW_COLUMNS if lists else _SHORT_COLUMNS
    query = f"SELECT {', '.join(columns)} FROM previews WHERE {condition} ORDER BY seq DESC"
    if page is not None:
        query, values = f"{query} LIMIT ? OFFSET ?", [*values, *page]
    found = []
    for values_of_row in cursor.execute(query, list(values)).fetchall():
        named = dict(zip(columns, values_of_row, strict=True))
        named["ts"] = named["ts"].replace(tzinfo=UTC)
        found.append(PreviewRow(**named))
    return tuple(found)


def _rows_by_place(
    cursor: Cursor, condition: str, values: Sequence[Any], page: tuple[int, int], *, lists: bool
) -> tuple[PreviewRow, ...]:
    """:func:`_rows`, found by their ``seq`` alone at first."""
    query = f"SELECT seq FROM previews WHERE {condition} ORDER BY seq DESC LIMIT ? OFFSET ?"
    seqs = [seq for (seq,) in cursor.execute(query, [*values, *page]).fetchall()]
    return tuple(previews_at(cursor, seqs, lists=lists).values())


def _one(cursor: Cursor, query: str, values: Sequence[Any]) -> Any:
    # fetchall, as fetchone leaves the connection busy.
    return cursor.execute(query, list(values)).fetchall()[0][0]
