"""Whether the model's confidence tells how often it is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from app.api.answers import answered, described
from app.api.history import FilterQuery, Whole, ready_cursor
from app.watch.monitor import Monitor
from control_room.history.questions.reliability import Binning, reliability
from control_room.statistics.calibration import (
    ConfidenceBin,
    expected_calibration_error,
    maximum_calibration_error,
)

_BINNING: dict[str, Binning] = {"equal_width": "equal width", "equal_count": "equal count"}


@dataclass(frozen=True, slots=True)
class Reliability:
    """Bins of confidence that hold answers, from the least sure up, and the figures over them.

    `expected_calibration_error` (ECE), `maximum_calibration_error` (MCE) and `brier_score` are from
    0 to 1, null without an answer that has a confidence. `without_confidence` answers are scored
    and have none.
    """

    bins: list[ConfidenceBin]
    count: int
    without_confidence: int
    expected_calibration_error: float | None
    maximum_calibration_error: float | None
    brier_score: float | None


class ReliabilityQuery(FilterQuery):
    """Which previews, and how their confidences are put into bins."""

    binning: Literal["equal_width", "equal_count"] = "equal_width"
    bins: Annotated[int, Query(ge=2, le=100), Whole] = 10


def routes(router: APIRouter, monitor: Monitor) -> None:
    """Add ``/api/reliability``."""

    @router.get("/api/reliability", name="reliability", **described(Reliability), tags=["analysis"])
    def reliability_diagram(
        request: Request, query: Annotated[ReliabilityQuery, Query()]
    ) -> Response:
        """Confidence against exact match, in bins, with ECE, MCE and the Brier score."""
        measured = reliability(
            ready_cursor(monitor),
            query.filter(),
            binning=_BINNING[query.binning],
            bins=query.bins,
        )
        bins = list(measured.bins)
        answer = Reliability(
            bins=bins,
            count=measured.count,
            without_confidence=measured.without,
            expected_calibration_error=expected_calibration_error(bins),
            maximum_calibration_error=maximum_calibration_error(bins),
            brier_score=measured.brier,
        )
        return answered(request, answer)
