"""The previews that match in windows that hold few bytes, whatever the sizes of the rows.

Rows of one byte and of a hundred million stand side by side in the table, and the database reads
what it is asked for at once: so it is asked for ranges of ``seq`` of which the sizes are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from control_room.history.filters import PreviewFilter
from control_room.logs.schema import SIZE

if TYPE_CHECKING:
    import duckdb

# Looked at together: seq has no gaps, so this bounds how many rows are held.
BLOCK_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Window:
    """Places in time, both included, and what the rows there take; a larger row stands alone."""

    first: int
    last: int
    size_bytes: int


def windows(
    cursor: duckdb.DuckDBPyConnection, wanted: PreviewFilter, *, most_bytes: int
) -> Iterator[Window]:
    """Ranges of ``seq``, oldest first, that hold all previews that match, and maybe others.

    Its texts are not read. A window takes ``most_bytes`` at most, unless it is of one row.
    """
    where, values = without_text(wanted).where()
    blocks = cursor.execute(
        f"SELECT min(seq), max(seq), sum({SIZE}) FROM previews WHERE {where} "
        f"GROUP BY (seq - 1) // {BLOCK_ROWS} ORDER BY 1",
        values,
    ).fetchall()
    for first, last, size in blocks:
        if size <= most_bytes:
            yield Window(first, last, int(size))
            continue
        rows = cursor.execute(
            f"SELECT seq, {SIZE} FROM previews WHERE seq BETWEEN ? AND ? AND {where} ORDER BY seq",
            [first, last, *values],
        ).fetchall()
        yield from grouped(rows, most_bytes)


def grouped(rows: Sequence[tuple[int, int]], most_bytes: int) -> Iterator[Window]:
    """Windows over (seq, bytes), which are in the order of seq."""
    first = last = total = 0
    for seq, size in rows:
        if first and total + size > most_bytes:
            yield Window(first, last, total)
            first = total = 0
        first, last, total = first or seq, seq, total + size
    if first:
        yield Window(first, last, total)


def condition_in(window: Window, wanted: PreviewFilter) -> tuple[str, list[Any]]:
    """What matches in a window, as a condition with its parameters.

    The database would look for a text in the rows around the window as well, two thousand at once
    however long they are: it is made to take those of the window first.
    """
    where, values = without_text(wanted).where()
    inside, bounds = f"seq BETWEEN ? AND ? AND {where}", [window.first, window.last, *values]
    if wanted.text is None:
        return inside, bounds
    text, sought = PreviewFilter(text=wanted.text).where()
    near = f"WITH near AS MATERIALIZED (SELECT seq, search FROM previews WHERE {inside})"
    return (
        f"{inside} AND seq IN ({near} SELECT seq FROM near WHERE {text})",
        [*bounds, *bounds, *sought],
    )


def without_text(wanted: PreviewFilter) -> PreviewFilter:
    """The rest of the filter, which looks at no long texts."""
    return replace(wanted, text=None)
