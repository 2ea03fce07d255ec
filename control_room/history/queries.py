"""What is asked of the history: plain SQL in one place, every parameter bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from control_room.history.filters import CHOICES, PreviewFilter
from control_room.history.preview_rows import LIST_COLUMNS as LIST_COLUMNS
from control_room.history.preview_rows import OWN_LOGS, Place, page_limit, places, rows_at
from control_room.history.preview_rows import PreviewRow as PreviewRow
from control_room.history.questions.greedy import CHECKPOINT_STEP, COUNTED, GREEDY
from control_room.history.windows import condition_in, windows
from control_room.logs.schema import SIZE, TABLES

if TYPE_CHECKING:
    import duckdb

Cursor: TypeAlias = "duckdb.DuckDBPyConnection"

# How a preview is named outside: its day, which part of it after the first, its line in that log.
# Of another system's log: the name of its file, and the line.
PREVIEW_ID = r"^(\d{4}-\d{2}-\d{2}(\.part\d{1,6})?|inference_[\w.-]{1,60})\.\d{1,15}$"

# Of a text that is shown or stands on a page of JSON: longer ones are cut, and told to be.
TEXT_CHARS = 20_000
PAGE_BYTES = 8 * 2**20  # of the texts of a page, where they are cut shorter for it

_SAME_EXAMPLE = "example_id = ? AND dataset_id IS NOT DISTINCT FROM ?"

# Rows of previews are counted in buckets of this many places in time (as a power of two), so that
# the page at any offset is looked for in few of them.
_BUCKET_BITS = 13
# What the database looks at together, and how much of that may be searched for a text at once.
_ROWS_AT_ONCE, _SEARCHED_BYTES = 2_048, 32 * 2**20


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
    """The newest previews that match, ``offset`` of them skipped; with their lists on request.

    No text is longer than :data:`TEXT_CHARS`, unless ``limit`` is one, and shorter where all of
    them would take more than :data:`PAGE_BYTES`; see :attr:`PreviewRow.cut`.
    """
    total_all = _one(cursor, "SELECT count(*) FROM previews", [])
    found, total = _page_places(cursor, wanted, limit, offset, total_all)
    usual = PAGE_BYTES if limit == 1 else TEXT_CHARS
    most = page_limit([place.size_bytes for place in found], usual, PAGE_BYTES)
    return PreviewPage(rows_at(cursor, found, most=most, lists=lists), total, total_all)


def _page_places(
    cursor: Cursor, wanted: PreviewFilter, limit: int, offset: int, total_all: int
) -> tuple[list[Place], int]:
    """Where the previews of a page are, and how many match in all."""
    if not wanted:
        # seq has no gaps, so a range of it is the page, however far back.
        newest = total_all - offset
        return places(cursor, "seq > ? AND seq <= ?", [newest - limit, newest]), total_all
    if wanted.text is not None and _holds_long_texts(cursor):
        matching = _seqs_with_text(cursor, wanted)[::-1]
        seqs = matching[offset : offset + limit]
        return places(cursor, "seq IN (SELECT unnest(?))", [seqs]), len(matching)
    where, values = wanted.where()
    query = (
        f"SELECT seq >> {_BUCKET_BITS} AS bucket, count(*) FROM previews WHERE {where} "
        "GROUP BY bucket ORDER BY bucket DESC"
    )
    buckets = cursor.execute(query, values).fetchall()
    total = sum(count for _, count in buckets)
    lowest, highest, skipped = _buckets_of_page(buckets, limit, offset)
    condition = f"seq >= ? AND seq < ? AND {where}"
    bounds = [lowest << _BUCKET_BITS, (highest + 1) << _BUCKET_BITS, *values]
    return places(cursor, condition, bounds, (limit, offset - skipped)), total


def _holds_long_texts(cursor: Cursor) -> bool:
    """Whether rows that the database looks at together may be too much for it."""
    query = (
        "SELECT coalesce(max(total), 0) FROM "
        f"(SELECT sum({SIZE}) AS total FROM previews GROUP BY seq // {_ROWS_AT_ONCE})"
    )
    return bool(_one(cursor, query, []) > _SEARCHED_BYTES)


def _seqs_with_text(cursor: Cursor, wanted: PreviewFilter) -> list[int]:
    """Of all that match, oldest first: looked for in a few megabytes at a time."""
    found: list[int] = []
    for window in windows(cursor, wanted, most_bytes=_SEARCHED_BYTES):
        condition, values = condition_in(window, wanted)
        query = f"SELECT seq FROM previews WHERE {condition} ORDER BY seq"
        found += [seq for (seq,) in cursor.execute(query, values).fetchall()]
    return found


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
    """One preview by its place in time, with its lists; long texts are cut as on a page."""
    found = places(cursor, "seq = ?", [seq])
    return next(iter(rows_at(cursor, found, most=TEXT_CHARS, lists=True)), None)


def previews_at(cursor: Cursor, seqs: Sequence[int]) -> dict[int, PreviewRow]:
    """Previews by their places in time; long texts are cut as on a page."""
    if not seqs:
        return {}
    condition = "seq BETWEEN ? AND ? AND seq IN (SELECT unnest(?))"
    found = places(cursor, condition, [min(seqs), max(seqs), list(seqs)])
    most = page_limit([place.size_bytes for place in found], TEXT_CHARS, PAGE_BYTES)
    return {row.seq: row for row in rows_at(cursor, found, most=most)}


def place_of(cursor: Cursor, preview_id: str) -> Place | None:
    """Where the preview with this :attr:`~PreviewRow.id` is."""
    name, _, line = preview_id.rpartition(".")
    values = [f"{OWN_LOGS}{name}.jsonl", f"{name}.log", int(line)]
    return next(iter(places(cursor, "file IN (?, ?) AND line = ?", values)), None)


def preview_by_id(cursor: Cursor, preview_id: str, *, most: int | None = None) -> PreviewRow | None:
    """One preview by its :attr:`~PreviewRow.id`, whole unless ``most`` says how long texts are."""
    found = place_of(cursor, preview_id)
    rows = () if found is None else rows_at(cursor, [found], most=most, lists=True)
    return next(iter(rows), None)


def same_example(cursor: Cursor, row: PreviewRow, *, limit: int) -> tuple[PreviewRow, ...]:
    """The newest answers to the same example, newest first; none when it has no id.

    Of several samples of a round only the first is among them. Long texts are cut as on a page.
    """
    if row.example_id is None:
        return ()
    values = [row.example_id, row.dataset_id]
    found = places(cursor, f"{_SAME_EXAMPLE} AND {GREEDY}", values, (limit, 0))
    most = page_limit([place.size_bytes for place in found], TEXT_CHARS, PAGE_BYTES)
    return rows_at(cursor, found, most=most)


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
        "SELECT file, sum(lines)::BIGINT, max(line), arg_max(reason, line) "
        "FROM rejects GROUP BY file ORDER BY file DESC"
    )
    return cursor.execute(query).fetchall()


def _one(cursor: Cursor, query: str, values: Sequence[Any]) -> Any:
    # fetchall, as fetchone leaves the connection busy.
    return cursor.execute(query, list(values)).fetchall()[0][0]
