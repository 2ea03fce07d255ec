"""Two checkpoints, regimes, datasets or runs side by side, and the examples that turned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel

from app.api.answers import Responses, answered, described
from app.api.history import (
    NOT_READY,
    LoggedPreview,
    Whole,
    logged,
    ready_cursor,
)
from app.api.turns import IN_TURN
from app.api.wire import packed_json
from app.views.comparison_sides import SideKind, filter_of
from app.watch.monitor import Monitor
from app.watch.runs import Runs
from control_room.history.queries import PreviewRow
from control_room.history.questions.comparison import Comparison, Flips, PairOfSides, Side, sides

# Of each preview of a flip; the rest is at /api/preview/{id}.
FLIP_FIELDS = (
    *("id", "ts", "step", "checkpoint_id", "example_id", "dataset_id", "regime", "pattern"),
    *("prompt", "golden", "model_answer", "exact_match", "failure_mode"),
)

By = Annotated[SideKind, Query(description="What `a` and `b` are.")]
SideName = Annotated[str | None, Query(description="Without one: the first for a, the last for b.")]
NO_SUCH_SIDE: Responses = {404: {"description": "There is no such side, or there are not two."}}


@dataclass(frozen=True, slots=True)
class ComparisonSides:
    """What can be compared: checkpoints in the order of their steps, others by name."""

    by: SideKind
    sides: list[str]
    total: int


@dataclass(frozen=True, slots=True)
class SidesCompared:
    """From `a` to `b`; in `comparison`, the patterns with most flips come first."""

    by: SideKind
    a: str
    b: str
    comparison: Comparison


class ComparedFlip(BaseModel):
    """One example whose answer turned: the preview of `a`, and that of `b`."""

    before: LoggedPreview
    after: LoggedPreview


class ComparedFlips(BaseModel):
    """The newest examples that turned right (fixed) or wrong (broken), of `total`.

    Of two runs, an `id` is that of its own run.
    """

    by: SideKind
    a: str
    b: str
    turned: Literal["fixed", "broken"]
    flips: list[ComparedFlip]
    count: int
    total: int


def routes(router: APIRouter, monitor: Monitor) -> None:
    """Add ``/api/compare`` and what belongs to it."""

    @router.get("/api/compare", **described(SidesCompared, NO_SUCH_SIDE), tags=["analysis"])
    def compare(
        request: Request,
        by: By = "checkpoint",
        a: SideName = None,
        b: SideName = None,
        limit: Annotated[
            int, Query(ge=1, le=1_000, description="Most patterns and failure modes."), Whole
        ] = 100,
    ) -> Response:
        """Is `b` better than `a`? Both rates, and McNemar's test over their common examples.

        The newest answer of each example counts; `p_value` is exact and two-sided.
        """
        name_a, name_b = _names(request, monitor, by, a, b)
        comparison = _pair(request, monitor, by, name_a, name_b).comparison()
        most_turned = sorted(comparison.patterns, key=_turned, reverse=True)
        bounded = replace(
            comparison,
            patterns=tuple(most_turned[:limit]),
            fixed_modes=comparison.fixed_modes[:limit],
            broken_modes=comparison.broken_modes[:limit],
        )
        return answered(request, SidesCompared(by, name_a, name_b, bounded))

    @router.get(
        "/api/compare/flips",
        response_class=Response,
        responses={200: {"model": ComparedFlips}, **NO_SUCH_SIDE, **NOT_READY},
        dependencies=IN_TURN,
        tags=["analysis"],
    )
    def compare_flips(
        request: Request,
        by: By = "checkpoint",
        a: SideName = None,
        b: SideName = None,
        turned: Literal["fixed", "broken"] = "broken",
        limit: Annotated[int, Query(ge=1, le=1_000), Whole] = 100,
    ) -> Response:
        """The examples whose answer is right in one of two sides and wrong in the other."""
        name_a, name_b = _names(request, monitor, by, a, b)
        pair = _pair(request, monitor, by, name_a, name_b)
        comparison, fixed = pair.comparison(), turned == "fixed"
        flips = pair.flips(fixed=fixed, limit=limit)
        view = ComparedFlips.model_construct(
            by=by,
            a=name_a,
            b=name_b,
            turned=turned,
            flips=[
                ComparedFlip.model_construct(
                    before=_flipped(flip.before, by), after=_flipped(flip.after, by)
                )
                for flip in flips
            ],
            count=len(flips),
            total=comparison.fixed if fixed else comparison.broken,
        )
        return packed_json(request, view.model_dump_json(exclude_unset=True).encode())

    @router.get("/api/compare/sides", **described(ComparisonSides), tags=["analysis"])
    def comparison_sides(
        request: Request,
        by: By = "checkpoint",
        limit: Annotated[int, Query(ge=1, le=10_000), Whole] = 1_000,
    ) -> Response:
        """What can be compared with what; of more than `limit` the last."""
        names = _options(request, monitor, by)
        return answered(request, ComparisonSides(by, names[-limit:], len(names)))


def _turned(flips: Flips) -> int:
    return flips.fixed + flips.broken


def _flipped(row: PreviewRow, by: SideKind) -> LoggedPreview:
    """A link to the whole preview only where it is one of the run that the API has."""
    view = logged(row, FLIP_FIELDS)
    if by == "run":
        view.whole = None
    return view


def _options(request: Request, monitor: Monitor, by: SideKind) -> list[str]:
    runs: Runs = request.app.state.runs
    if by == "run":  # which the history of one has no part in
        return list(runs.directories())
    return sides(ready_cursor(monitor), by)


def _names(
    request: Request, monitor: Monitor, by: SideKind, a: str | None, b: str | None
) -> tuple[str, str]:
    """Those that are compared. Raises 404 where there is none of that name, or only one."""
    names = _options(request, monitor, by)
    for name in (a, b):
        if name is not None and name not in names:
            raise HTTPException(
                404, f"There is no {by} {name!r}; /api/compare/sides?by={by} lists them."
            )
    if len(names) < 2:
        raise HTTPException(404, f"There are not two {by}s to compare.")
    return names[0] if a is None else a, names[-1] if b is None else b


def _pair(request: Request, monitor: Monitor, by: SideKind, a: str, b: str) -> PairOfSides:
    runs: Runs = request.app.state.runs
    side_a, side_b = (
        Side(ready_cursor(runs.monitor(name) if by == "run" else monitor), filter_of(by, name))
        for name in (a, b)
    )
    return PairOfSides(side_a, side_b)
