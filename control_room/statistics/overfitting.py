"""Where a run begins to overfit: the validation loss turns while the training loss goes on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

Points = Sequence[tuple[int, float]]  # (step, value), by step

LATER_POINTS = 3
LEAST_RISE_NATS = 0.01
_LOSS_WINDOW = 50  # training steps whose mean stands for the loss at a step


@dataclass(frozen=True, slots=True)
class GapPoint:
    """Validation against training loss at one evaluation, in nats."""

    step: int
    val_loss: float
    loss: float

    @property
    def gap(self) -> float:
        """Validation minus training."""
        return self.val_loss - self.loss


def val_train_gap(losses: Points, val_losses: Points) -> list[GapPoint]:
    """The gap at each evaluation; the training loss is the mean of the 50 points up to it."""
    steps = [step for step, _ in losses]
    found = []
    for step, val_loss in val_losses:
        end = bisect_right(steps, step)
        window = [value for _, value in losses[max(0, end - _LOSS_WINDOW) : end]]
        if window:
            found.append(GapPoint(step, val_loss, sum(window) / len(window)))
    return found


def overfitting_onset(points: Sequence[GapPoint]) -> int | None:
    """The step of the lowest validation loss, if the run overfits since; else None.

    It does when the last three evaluations (all that follow must be at least three) lie above
    that lowest loss by 0.01 nats or more, while the training loss of each is below that step's.
    """
    if len(points) <= LATER_POINTS:
        return None
    best = min(points, key=lambda point: point.val_loss)
    later = [point for point in points if point.step > best.step]
    last = later[-LATER_POINTS:]
    if len(last) < LATER_POINTS:
        return None
    turned = all(
        point.val_loss >= best.val_loss + LEAST_RISE_NATS and point.loss < best.loss
        for point in last
    )
    return best.step if turned else None
