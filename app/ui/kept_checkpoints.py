"""Checkpoints and snapshots as a table: what is best by which metric, and when each will go."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.cards import kit
from app.views.best_weights import best_by_metric, step_of
from collectors.files.snapshots import SnapshotsReading, StoredWeights


def kept_rows(reading: SnapshotsReading, now: datetime) -> list[dict[str, Any]]:
    """A row each, newest first, checkpoints before snapshots."""
    checkpoints = sorted(reading.checkpoints, key=step_of, reverse=True)
    snapshots = sorted(reading.snapshots, key=step_of, reverse=True)
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


def _leaves(each: StoredWeights, kind: str, place: int, keep_newest: int | None) -> str:
    if each.protected:
        return "kept: protected"
    if each.keep_until is not None:
        return f"after {each.keep_until.astimezone():%Y-%m-%d %H:%M}"
    if kind == "checkpoint" and keep_newest is not None:
        left = keep_newest - place
        return f"with the next {left} checkpoints" if left > 1 else "with the next checkpoint"
    return "not told"
