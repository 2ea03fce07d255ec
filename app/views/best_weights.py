"""Which of the weights that are kept are the best, by each metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from collectors.files.snapshots import StoredWeights

# Metric, and whether more of it is better.
_METRICS: tuple[tuple[str, str, Callable[[float], float]], ...] = (
    ("em", "EM", lambda value: -value),
    ("ce", "CE", lambda value: value),
    ("loss", "Loss", lambda value: value),
)


def best_by_metric(kept: Sequence[StoredWeights]) -> dict[str, str]:
    """Metric to the name of the best; of equals the newest."""
    best: dict[str, str] = {}
    for name, label, badness in _METRICS:
        told = [
            (badness(value), -step_of(each), each.name)
            for each in kept
            if (value := getattr(each, name)) is not None
        ]
        if told:
            best[label] = min(told)[2]
    return best


def step_of(weights: StoredWeights) -> int:
    """0 where it is not told."""
    return weights.step or 0
