"""Confidence against being right, over the previews that tell a confidence.

That is ``confidence``, or else the probability of the whole answer, from ``token_log_probs``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from control_room.history.filters import PreviewFilter
from control_room.history.queries import Cursor
from control_room.history.questions.greedy import CONFIDENCE, COUNTED
from control_room.statistics.calibration import ConfidenceBin

Binning = Literal["equal width", "equal count"]


@dataclass(frozen=True, slots=True)
class Reliability:
    """Bins that hold answers, from the least sure up, and the Brier score over all of them.

    ``without`` answers are scored and tell no confidence.
    """

    bins: tuple[ConfidenceBin, ...]
    count: int
    without: int
    brier: float | None


def reliability(
    cursor: Cursor, wanted: PreviewFilter, *, binning: Binning = "equal width", bins: int = 10
) -> Reliability:
    """Bins of the same width, or with the same count (edges are quantiles, linearly interpolated).

    Brier 1950: the mean squared distance of confidence from right (1) or wrong (0).
    """
    where, values = wanted.where()
    told = (
        f"told AS MATERIALIZED (SELECT exact_match, {CONFIDENCE} AS sure FROM previews "
        f"WHERE {where} AND {COUNTED}), "
        "known AS (SELECT * FROM told WHERE sure BETWEEN 0 AND 1)"
    )
    ((count, without, brier, quantiles),) = cursor.execute(
        f"WITH {told} SELECT count(*) FILTER (sure BETWEEN 0 AND 1), "
        "count(*) FILTER ((sure BETWEEN 0 AND 1) IS NOT TRUE), "
        "avg((sure - exact_match::INT) ** 2) FILTER (sure BETWEEN 0 AND 1), "
        "quantile_cont(sure, ?) FILTER (sure BETWEEN 0 AND 1) FROM told",
        [*values, [number * (1 / bins) for number in range(bins + 1)]],
    ).fetchall()
    if not count:
        return Reliability((), 0, without, None)
    edges = (
        quantiles
        if binning == "equal count"
        else [*(number * (1 / bins) for number in range(bins)), 1.0]
    )
    steps = " ".join(f"WHEN sure <= ? THEN {number}" for number in range(bins - 1))
    rows = cursor.execute(
        f"WITH {told} SELECT CASE {steps} ELSE {bins - 1} END AS bin, count(*), "
        "count(*) FILTER (exact_match), avg(sure) FROM known GROUP BY bin ORDER BY bin",
        [*values, *edges[1:-1]],
    ).fetchall()
    found = tuple(
        ConfidenceBin(edges[number], edges[number + 1], members, correct, sure)
        for number, members, correct, sure in rows
    )
    return Reliability(found, count, without, brier)
