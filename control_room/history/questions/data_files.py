"""What the data files that were trained on between two checkpoints cost or gained, by pattern."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from control_room.history.filters import PreviewFilter
from control_room.history.queries import Cursor
from control_room.history.questions.greedy import CHECKPOINT_STEP, COUNTED, KEY


@dataclass(frozen=True, slots=True)
class FileEffect:
    """Between two checkpoints, for one pattern.

    ``files`` were trained on after ``first_step`` and up to ``last_step``, each with its steps, the
    longest first. ``common`` examples were answered at both checkpoints; ``fixed`` turned right,
    ``broken`` turned wrong.
    """

    first_step: int
    last_step: int
    files: tuple[tuple[str, int], ...]
    pattern: str
    common: int
    fixed: int
    broken: int


def file_effects(
    cursor: Cursor, wanted: PreviewFilter, *, checkpoints: int = 20
) -> list[FileEffect]:
    """Between each two of the newest ``checkpoints`` that were asked, oldest first."""
    where, values = wanted.where()
    rows = cursor.execute(
        f"""
        WITH asked AS (
            SELECT checkpoint_id, {CHECKPOINT_STEP} AS asked_step,
                row_number() OVER (ORDER BY {CHECKPOINT_STEP}, checkpoint_id) AS place
            FROM previews WHERE {where} AND {COUNTED} AND checkpoint_id IS NOT NULL
            GROUP BY checkpoint_id ORDER BY place DESC LIMIT ?
        ), answers AS (
            SELECT place, any_value(asked_step) AS step, {KEY} AS key,
                coalesce(any_value(pattern), 'unknown') AS pattern,
                arg_max(exact_match, seq) AS correct
            FROM previews JOIN asked USING (checkpoint_id)
            WHERE {where} AND {COUNTED} GROUP BY place, key
        )
        SELECT a.step, b.step, b.pattern, count(*), count(*) FILTER (NOT a.correct AND b.correct),
            count(*) FILTER (a.correct AND NOT b.correct)
        FROM answers a JOIN answers b ON a.key = b.key AND a.place + 1 = b.place
        GROUP BY 1, 2, 3 ORDER BY 1, 3
        """,
        [*values, checkpoints, *values],
    ).fetchall()
    if not rows:
        return []
    trained = _files_trained(cursor, sorted({(first, last) for first, last, *_ in rows}))
    return [
        FileEffect(first, last, trained[first], pattern, common, fixed, broken)
        for first, last, pattern, common, fixed, broken in rows
    ]


def _files_trained(
    cursor: Cursor, stretches: list[tuple[int, int]]
) -> dict[int, tuple[tuple[str, int], ...]]:
    """By a stretch's first step: its files, with how many steps each."""
    found: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)
    rows = cursor.execute(
        "SELECT first, current_file, count(*) FROM metrics JOIN "
        "(SELECT unnest(?) AS first, unnest(?) AS last) ON step > first AND step <= last "
        "WHERE current_file IS NOT NULL GROUP BY ALL ORDER BY 1, 3 DESC, 2",
        [[first for first, _ in stretches], [last for _, last in stretches]],
    ).fetchall()
    for first, name, steps in rows:
        found[first].append((name, steps))
    return {first: tuple(found[first]) for first, _ in stretches}
