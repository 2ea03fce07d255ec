"""Reads rows of previews, each text as long as is wanted of it and no longer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from control_room.logs.schema import SIZE, TABLES
from control_room.recording.records import PreviewRecord

if TYPE_CHECKING:
    import duckdb

OWN_LOGS = "preview_history_"  # how the names of their files begin
# Of what lies between the rows that are wanted, as the database may look at it as well.
_READ_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewRow(PreviewRecord):
    """One preview of the history: the record and where it stands. ``seq``: place in time, from 1.

    The lists (:data:`LIST_COLUMNS`) are None where they were not asked for. ``cut`` has the full
    lengths of texts (in characters), lists and maps of which this is only the beginning.
    """

    ts: datetime
    seq: int
    file: str
    line: int
    cut: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nothing to check: it was, when it was read from its log."""

    @property
    def id(self) -> str:
        """Its day and line in the logs, which stay what they are."""
        name = self.file.removeprefix(OWN_LOGS).removesuffix(".jsonl").removesuffix(".log")
        return f"{name}.{self.line}"


PREVIEW_COLUMNS = tuple(each.name for each in fields(PreviewRow) if each.name != "cut")
_TYPES = TABLES["preview"].all_columns
# Hundreds of numbers each: they are read where somebody wants them.
LIST_COLUMNS = tuple(name for name, sql in _TYPES.items() if sql.endswith("[]"))
_SHORT_COLUMNS = tuple(name for name in PREVIEW_COLUMNS if name not in LIST_COLUMNS)
_BEGINNINGS = {  # by SQL type: the beginning of a value, and its whole length
    "VARCHAR": ("left({0}, {1})", "length({0})"),
    "DOUBLE[]": ("list_slice({0}, 1, {1})", "len({0})"),
    "MAP(VARCHAR, BOOLEAN)": (
        "map_from_entries(list_transform(list_slice(map_entries({0}), 1, {1} // 100), "
        "lambda each: {{'k': left(each.key, 100), 'v': each.value}}))",
        "100 * cardinality({0})",
    ),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a preview is, and what it takes."""

    seq: int
    size_bytes: int


def places(
    cursor: duckdb.DuckDBPyConnection,
    condition: str,
    values: Sequence[Any],
    page: tuple[int, int] | None = None,
) -> list[Place]:
    """Of the previews that match, newest first; of ``page``, a limit and an offset."""
    query = f"SELECT seq, {SIZE} FROM previews WHERE {condition} ORDER BY seq DESC"
    if page is not None:
        query, values = f"{query} LIMIT ? OFFSET ?", [*values, *page]
    return [Place(*row) for row in cursor.execute(query, list(values)).fetchall()]


def rows_at(
    cursor: duckdb.DuckDBPyConnection,
    wanted: Sequence[Place],
    *,
    most: int | None,
    lists: bool = False,
) -> tuple[PreviewRow, ...]:
    """The rows there, newest first; no text is longer than ``most`` characters, unless None."""
    if not wanted:
        return ()
    seqs = [place.seq for place in wanted]
    if len(wanted) > 1 and _between(cursor, wanted) > _READ_BYTES:
        middle = len(wanted) // 2
        ordered = sorted(wanted, key=lambda place: -place.seq)
        newer = rows_at(cursor, ordered[:middle], most=most, lists=lists)
        return newer + rows_at(cursor, ordered[middle:], most=most, lists=lists)
    # A narrow range lets the database pass over everything outside.
    first, last = min(seqs), max(seqs)
    condition, values = "seq BETWEEN ? AND ?", list[Any]((first, last))
    if len(wanted) <= last - first:
        condition, values = f"{condition} AND seq IN (SELECT unnest(?))", [*values, seqs]
    cut_at = most if most is not None and max(p.size_bytes for p in wanted) > most else None
    names = PREVIEW_COLUMNS if lists else _SHORT_COLUMNS
    query = f"SELECT {_chosen(names, cut_at)} FROM previews WHERE {condition} ORDER BY seq DESC"
    return tuple(_row(names, row, cut_at) for row in cursor.execute(query, values).fetchall())


def _between(cursor: duckdb.DuckDBPyConnection, wanted: Sequence[Place]) -> int:
    """What the rows from the oldest to the newest take, those in between included."""
    seqs = [place.seq for place in wanted]
    first, last = min(seqs), max(seqs)
    if last - first < len(wanted):
        return sum(place.size_bytes for place in wanted)
    query = f"SELECT sum({SIZE}) FROM previews WHERE seq BETWEEN ? AND ?"
    ((size,),) = cursor.execute(query, [first, last]).fetchall()
    return int(size or 0)


def _chosen(names: Sequence[str], most: int | None) -> str:
    if most is None:
        return ", ".join(names)
    chosen = [
        _BEGINNINGS[_TYPES[name]][0].format(name, most) if _TYPES[name] in _BEGINNINGS else name
        for name in names
    ]
    lengths = [_BEGINNINGS[_TYPES[name]][1].format(name) for name in _bounded(names)]
    return ", ".join([*chosen, *lengths])


def _bounded(names: Sequence[str]) -> list[str]:
    return [name for name in names if _TYPES[name] in _BEGINNINGS]


def _row(names: Sequence[str], values: Sequence[Any], most: int | None) -> PreviewRow:
    named = dict(zip(names, values, strict=False))
    named["ts"] = named["ts"].replace(tzinfo=UTC)
    if most is not None:
        lengths = zip(_bounded(names), values[len(names) :], strict=True)
        cut = {name: length for name, length in lengths if length is not None and length > most}
        named["cut"] = {n: length // _UNITS.get(_TYPES[n], 1) for n, length in cut.items()}
    return PreviewRow(**named)


_UNITS = {"MAP(VARCHAR, BOOLEAN)": 100}  # an entry counts as so many characters


def page_limit(sizes: Sequence[int], most: int, page_bytes: int) -> int:
    """How long a text may be, at most ``most``, so that a page of such rows stays in bounds."""
    left = page_bytes
    for count, size in zip(range(len(sizes), 0, -1), sorted(sizes), strict=True):
        share = left // count
        if size > share:
            return min(most, share)
        left -= size
    return most
