"""Diagnostics of the attention heads at one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response

from app.api.answers import answered, described
from app.api.history import Count, Whole, ready_cursor
from app.watch.monitor import Monitor
from control_room.history.queries import Cursor
from control_room.history.questions.heads import head_diagnostics, head_steps
from control_room.statistics.head_rules import head_findings


@dataclass(frozen=True, slots=True)
class HeadWarning:
    """A head that a rule points out (docs/ANALYSIS.md). Layers and heads count from 0."""

    layer: int
    head: int
    rule: str
    measured: str


@dataclass(frozen=True, slots=True)
class Heads:
    """One step. `values` are lists of layers by heads, by metric; null what was not recorded.

    `steps` are those that were recorded, the newest `limit` of them, of `total_steps`.
    """

    step: int
    layers: int
    heads: int
    values: dict[str, list[list[float]] | None]
    warnings: list[HeadWarning]
    steps: list[int]
    total_steps: int


def routes(router: APIRouter, monitor: Monitor) -> None:
    """Add ``/api/heads``."""

    @router.get(
        "/api/heads",
        **described(Heads, {404: {"description": "No head was recorded (at this step)."}}),
        tags=["analysis"],
    )
    def heads(
        request: Request,
        step: Count = None,
        limit: Annotated[int, Query(ge=1, le=10_000), Whole] = 1_000,
    ) -> Response:
        """What each attention head does, and which are dead or collapsing: at the newest step."""
        cursor = ready_cursor(monitor)
        steps = head_steps(cursor)
        if not steps:
            raise HTTPException(404, "No head has been recorded.")
        return answered(request, _heads(cursor, steps, steps[-1] if step is None else step, limit))


def _heads(cursor: Cursor, steps: Sequence[int], step: int, limit: int) -> Heads:
    diagnostics = head_diagnostics(cursor, step)
    if diagnostics is None:
        raise HTTPException(404, f"No head was recorded at step {step} in the shape that it says.")
    first = head_diagnostics(cursor, steps[0])
    shape = (diagnostics.layers, diagnostics.heads)
    before = first.values if first and (first.layers, first.heads) == shape else {}
    findings = head_findings(diagnostics.values, before, diagnostics.heads)
    return Heads(
        step=diagnostics.step,
        layers=diagnostics.layers,
        heads=diagnostics.heads,
        values={
            name: None if flat is None else _by_layer(flat, diagnostics.heads)
            for name, flat in diagnostics.values.items()
        },
        warnings=[HeadWarning(each.layer, each.head, each.rule, each.said) for each in findings],
        steps=list(steps[-limit:]),
        total_steps=len(steps),
    )


def _by_layer(flat: Sequence[float], heads: int) -> list[list[float]]:
    return [list(flat[start : start + heads]) for start in range(0, len(flat), heads or 1)]
