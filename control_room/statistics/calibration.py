"""Does confidence tell how often the model is right? Bins, and the usual figures over them.

A confidence is a probability from 0 to 1 that the answer is right. Bins are those of scikit-learn's
``calibration_curve``: above their lower edge, up to and with their upper one; the first has both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConfidenceBin:
    """Answers whose confidence lies between ``low`` and ``high``."""

    low: float
    high: float
    count: int
    correct: int
    mean_confidence: float

    @property
    def em(self) -> float:
        """The fraction that is right."""
        return self.correct / self.count

    @property
    def gap(self) -> float:
        """How far confidence is above (or below, negative) the fraction that is right."""
        return self.mean_confidence - self.em


def expected_calibration_error(bins: Sequence[ConfidenceBin]) -> float | None:
    """The mean gap over all answers; None without any.

    Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning"; Guo et al.
    2017, "On Calibration of Modern Neural Networks", equation 3.
    """
    count = sum(each.count for each in bins)
    return sum(each.count * abs(each.gap) for each in bins) / count if count else None


def maximum_calibration_error(bins: Sequence[ConfidenceBin]) -> float | None:
    """The largest gap of a bin (Guo et al. 2017, equation 5); None without any answer."""
    return max((abs(each.gap) for each in bins), default=None)
