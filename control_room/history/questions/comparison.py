"""Two sets of previews side by side: the newest answer of each example, then and now.

The sets may be of one index or of two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from control_room.history.filters import PreviewFilter
from control_room.history.queries import Cursor, PreviewRow, checkpoints, choices, previews_at
from control_room.history.questions.greedy import COUNTED, KEY
from control_room.statistics.exact_match import ExactMatchRate
from control_room.statistics.paired import mcnemar_exact, newcombe

Kind = Literal["checkpoint", "regime", "dataset"]  # by which one run's previews are told apart


def sides(cursor: Cursor, kind: Kind) -> list[str]:
    """What there is to compare: checkpoints in the order of their steps, others by name."""
    if kind == "checkpoint":
        return checkpoints(cursor)
    return choices(cursor, "regime" if kind == "regime" else "dataset_id")


def of_side(kind: Kind, name: str) -> PreviewFilter:
    """The previews of one side."""
    if kind == "checkpoint":
        return PreviewFilter(checkpoint_id=name)
    return PreviewFilter(regime=name) if kind == "regime" else PreviewFilter(dataset_id=name)


@dataclass(frozen=True, slots=True)
class Side:
    """One set: where it is asked for, and which previews it holds."""

    cursor: Cursor
    wanted: PreviewFilter


@dataclass(frozen=True, slots=True)
class Flips:
    """Of one group of common examples: how many turned right, and how many wrong."""

    group: str
    common: int
    fixed: int
    broken: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of A to B. ``fixed`` common examples were wrong in A and are right in B.

    ``p_value`` is McNemar's, exact, over the common examples; None without any. ``interval`` is
    Newcombe's for the difference of the two rates as independent samples; None where a side is
    empty. ``broken_modes`` counts how answers fail in B, ``fixed_modes`` how they failed in A.
    """

    a: ExactMatchRate
    b: ExactMatchRate
    common: int
    both_right: int
    both_wrong: int
    fixed: int
    broken: int
    p_value: float | None
    interval: tuple[float, float] | None
    patterns: tuple[Flips, ...]
    fixed_modes: tuple[tuple[str, int], ...]
    broken_modes: tuple[tuple[str, int], ...]

    @property
    def difference(self) -> float | None:
        """B's rate minus A's: over the common examples where there are any, else over all."""
        if self.common:
            return (self.fixed - self.broken) / self.common
        if self.a.em is None or self.b.em is None:
            return None
        return self.b.em - self.a.em


@dataclass(frozen=True, slots=True)
class Flip:
    """One example whose answer turned."""

    before: PreviewRow
    after: PreviewRow


_SIDE = (
    f"SELECT {KEY} AS key, max(seq) AS seq, arg_max(exact_match, seq) AS correct, "
    "arg_max(pattern, seq) AS pattern, arg_max(failure_mode, seq) AS mode "
    f"FROM previews WHERE {{where}} AND {COUNTED} GROUP BY key"
)


_SIDES = ("side_a", "side_b")


class PairOfSides:
    """Answers the questions about two sides; what it reads at first it keeps.

    It asks with the cursor of ``a``, in which it leaves two temporary views.
    """

    def __init__(self, a: Side, b: Side) -> None:
        self._a, self._b = a, b
        for name, side in zip(_SIDES, (a, b), strict=True):
            where, values = side.wanted.where()
            told = side.cursor.sql(_SIDE.format(where=where), params=values).to_arrow_table()
            a.cursor.register(name, told)

    def comparison(self) -> Comparison:
        """Counts, tests, and where the flips are."""
        ask = self._a.cursor
        count = "SELECT count(*) FILTER (correct), count(*) FROM"
        a, b = (ExactMatchRate(*ask.execute(f"{count} {side}").fetchall()[0]) for side in _SIDES)
        groups = ask.execute(
            "SELECT coalesce(b.pattern, a.pattern, 'unknown') AS pattern, count(*), "
            "count(*) FILTER (a.correct AND b.correct), "
            "count(*) FILTER (NOT a.correct AND NOT b.correct), "
            "count(*) FILTER (NOT a.correct AND b.correct), "
            "count(*) FILTER (a.correct AND NOT b.correct) "
            "FROM side_a a JOIN side_b b USING (key) GROUP BY 1 ORDER BY 1"
        ).fetchall()
        common, both_right, both_wrong, fixed, broken = (
            sum(row[column] for row in groups) for column in range(1, 6)
        )
        return Comparison(
            a=a,
            b=b,
            common=common,
            both_right=both_right,
            both_wrong=both_wrong,
            fixed=fixed,
            broken=broken,
            p_value=mcnemar_exact(fixed, broken) if common else None,
            interval=newcombe(a.correct, a.count, b.correct, b.count)
            if a.count and b.count
            else None,
            patterns=tuple(Flips(row[0], row[1], row[4], row[5]) for row in groups),
            fixed_modes=self._modes("a.mode", "NOT a.correct AND b.correct"),
            broken_modes=self._modes("b.mode", "a.correct AND NOT b.correct"),
        )

    def flips(self, *, fixed: bool, limit: int) -> list[Flip]:
        """Examples that turned right (``fixed``) or wrong, the newest first."""
        turned = "NOT a.correct AND b.correct" if fixed else "a.correct AND NOT b.correct"
        pairs = self._a.cursor.execute(
            f"SELECT a.seq, b.seq FROM side_a a JOIN side_b b USING (key) WHERE {turned} "
            "ORDER BY b.seq DESC LIMIT ?",
            [limit],
        ).fetchall()
        before = previews_at(self._a.cursor, [a for a, _ in pairs])
        after = previews_at(self._b.cursor, [b for _, b in pairs])
        return [Flip(before[a], after[b]) for a, b in pairs]

    def _modes(self, column: str, turned: str) -> tuple[tuple[str, int], ...]:
        return tuple(
            self._a.cursor.execute(
                f"SELECT coalesce({column}, 'unknown'), count(*) FROM side_a a JOIN side_b b "
                f"USING (key) WHERE {turned} GROUP BY 1 ORDER BY 2 DESC, 1"
            ).fetchall()
        )
