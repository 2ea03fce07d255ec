"""Checkpoints and snapshots as a table: what is best by which metric, and when each will go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from app.cards import kit
from collectors.files.snapshots import SnapshotsReading, StoredWeights

# Metric, and whether more of it is better.
_METRICS: tuple[tuple[str, str, Callable[[float], float]], ...] = (
    ("em", "EM", lambda value: -value),
    ("ce", "CE", lambda value: value),
    ("loss", "Loss", lambda value: value),
)


def kept_rows(reading: SnapshotsReading, now: datetime) -> list[dict[str, Any]]:
    """A row each, newest first, checkpoints before snapshots."""
    checkpoints = sorted(reading.checkpoints, key=_step, reverse=True)
    snapshots = sorted(reading.snapshots, key=_step, reverse=True)
    best = best_by_metric((*checkpoints, *snapshots))
    rows = []
    for kind, kept in (("checkpoint", checkpoints), ("snapshot", snapshots)):
        place = 0  # among those that are not protected
        for each in kept:
            leaves = _leaves(each, kind, place, reading.keep_newest)
            best_by = [label for label, name in best.items() if name == each.name]
            place += not each.protected
            rows.append(
                {
                    "Name": each.name,
                    "Kind": kind,
                    "Step": each.step,
                    "EM": each.em,
                    "CE": each.ce,
                    "Loss": each.loss,
                    "Best by": ", ".join(best_by),
                    "Size, MB": None if each.size_gb is None else each.size_gb * 1024,
                    "Age": None
                    if each.created_at is None
                    else kit.ago((now - each.created_at).total_seconds()),
                    "Will go": leaves,
                }
            )
    return rows


def best_by_metric(kept: Sequence[StoredWeights]) -> dict[str, str]:
    """Metric to the name of the best; of equals the newest."""
    best: dict[str, str] = {}
    for name, label, badness in _METRICS:
        told = [
            (badness(value), -_step(each), each.name)
            for each in kept
            if (value := getattr(each, name)) is not None
        ]
        if told:
            best[label] = min(told)[2]
    return best


def _leaves(each: StoredWeights, kind: str, place: int, keep_newest: int | None) -> str:
    if each.protected:
        return "kept: protected"
    if each.keep_until is not None:
        return f"after {each.keep_until.astimezone():%Y-%m-%d %H:%M}"
    if kind == "checkpoint" and keep_newest is not None:
        left = keep_newest - place
        return f"with the next {left} checkpoints" if left > 1 else "with the next checkpoint"
    return "not told"


def _step(each: StoredWeights) -> int:
    return each.step or 0
