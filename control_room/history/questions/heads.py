"""Diagnostics of attention heads, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from control_room.history.queries import Cursor

HEAD_METRICS = ("attention_entropy", "first_token_attention", "grad_norm", "weight_norm")


@dataclass(frozen=True, slots=True)
class HeadDiagnostics:
    """One step. Each array of ``values`` is flat, layer by layer; None where it was not told."""

    step: int
    layers: int
    heads: int
    values: Mapping[str, Sequence[float] | None]


def head_steps(cursor: Cursor) -> list[int]:
    """The steps there are diagnostics of, first to last."""
    return [
        step
        for (step,) in cursor.execute("SELECT DISTINCT step FROM heads ORDER BY step").fetchall()
    ]


def head_diagnostics(cursor: Cursor, step: int) -> HeadDiagnostics | None:
    """The newest of a step; None when there is none, or its arrays have not its shape."""
    rows = cursor.execute(
        f"SELECT step, layers, heads, {', '.join(HEAD_METRICS)} FROM heads WHERE step = ? "
        "ORDER BY seq DESC LIMIT 1",
        [step],
    ).fetchall()
    for found, layers, heads, *arrays in rows:
        values = dict(zip(HEAD_METRICS, arrays, strict=True))
        if all(each is None or len(each) == layers * heads for each in arrays):
            return HeadDiagnostics(found, layers, heads, values)
    return None
