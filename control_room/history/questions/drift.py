"""Does the content survive while the form dies, or is the content wrong? Over the steps.

An answer is *right*; or its content is right and its *form* is not (the contract is broken, the
JSON does not parse, it differs in case, space or punctuation alone); or its *content* is wrong; or
it is no proper answer at all (*degenerate*: empty, cut off at the limit, looping).
"""

from __future__ import annotations

from dataclasses import dataclass

from control_room.history.filters import PreviewFilter
from control_room.history.queries import Cursor
from control_room.history.questions.greedy import COUNTED
from control_room.judging.scoring import FAILURES
from control_room.statistics.paired import newcombe

KINDS = ("right", "form", "content", "degenerate")


def _modes(counts_as: str | None) -> str:
    """Those failure modes, as a list in SQL."""
    modes = [f"'{mode}'" for mode, failure in FAILURES.items() if failure.counts_as == counts_as]
    return f"({', '.join(modes)})"


_KIND = f"""CASE
    WHEN exact_match AND failure_mode IS NULL THEN 'right'
    WHEN exact_match OR normalized_match OR failure_mode IN {_modes("form")} THEN 'form'
    WHEN failure_mode IN {_modes("degenerate")} THEN 'degenerate'
    ELSE 'content' END"""
_ANSWERED = f"(failure_mode IS NULL OR failure_mode NOT IN {_modes(None)})"


@dataclass(frozen=True, slots=True)
class DriftBin:
    """A stretch of steps and how its answers divide."""

    first_step: int
    last_step: int
    counts: dict[str, int]  # of KINDS

    @property
    def total(self) -> int:
        """All answers of the stretch."""
        return sum(self.counts.values())


def drift(cursor: Cursor, wanted: PreviewFilter, *, bins: int = 24) -> list[DriftBin]:
    """Stretches with about as many answers each, oldest first."""
    where, values = wanted.where()
    columns = ", ".join(f"count(*) FILTER (kind = '{kind}')" for kind in KINDS)
    rows = cursor.execute(
        f"WITH told AS (SELECT step, {_KIND} AS kind FROM previews WHERE {where} AND {COUNTED} "
        f"AND {_ANSWERED}), "
        "placed AS (SELECT *, ntile(?) OVER (ORDER BY step) AS bin FROM told) "
        f"SELECT min(step), max(step), {columns} FROM placed GROUP BY bin ORDER BY bin",
        [*values, bins],
    ).fetchall()
    return [DriftBin(row[0], row[1], dict(zip(KINDS, row[2:], strict=True))) for row in rows]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What changed between the first and the second half of the stretches, in words."""

    said: str
    changed: dict[str, tuple[float, float, float]]  # kind -> change of its share, and the interval


def verdict(found: list[DriftBin]) -> Verdict | None:
    """Compares the halves; None with fewer than two stretches.

    A share has changed when the 95 % interval of the difference (Newcombe) leaves out 0.
    """
    if len(found) < 2:
        return None
    middle = len(found) // 2
    early, late = found[:middle], found[middle:]
    counts = [{kind: sum(b.counts[kind] for b in half) for kind in KINDS} for half in (early, late)]
    totals = [sum(each.values()) for each in counts]
    changed: dict[str, tuple[float, float, float]] = {}
    for kind in KINDS:
        before, after = counts[0][kind], counts[1][kind]
        low, high = newcombe(before, totals[0], after, totals[1])
        if low > 0 or high < 0:
            changed[kind] = (after / totals[1] - before / totals[0], low, high)
    up = {kind for kind, (by, _, _) in changed.items() if by > 0}
    down = {kind for kind, (by, _, _) in changed.items() if by < 0}
    if "form" in up and "content" not in up:
        said = "The content survives, the form dies: more answers are right in content alone."
    elif "content" in up and "form" not in up:
        said = "The content gets worse: more answers say something wrong."
    elif {"form", "content"} <= up:
        said = "Both get worse: more answers break the form, and more say something wrong."
    elif "degenerate" in up:
        said = "More answers are empty, cut off or loop."
    elif "right" in up:
        named = {"form": "form", "content": "content", "degenerate": "answers that are none"}
        gone = ", ".join(name for kind, name in named.items() if kind in down)
        said = f"It gets better; less goes wrong in: {gone}." if gone else "It gets better."
    elif "right" in down:
        said = "Fewer answers are right; no one kind of failure explains it alone."
    else:
        said = "No share has changed beyond chance between the halves."
    return Verdict(said, changed)
