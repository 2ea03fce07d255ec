"""How sure a rate is that was counted: confidence intervals of proportions."""

from __future__ import annotations

import math
from statistics import NormalDist

CONFIDENCE = 0.95
Z_95 = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


def wilson(successes: int, count: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion, as (low, high) from 0 to 1.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22
    (1927). Raises ``ValueError`` without any trial, or with more successes than trials.
    """
    if not 0 <= successes <= count or count == 0:
        raise ValueError(f"{successes} successes of {count} trials have no interval")
    rate, z_squared = successes / count, Z_95 * Z_95
    centre = (rate + z_squared / (2 * count)) / (1 + z_squared / count)
    spread = math.sqrt(rate * (1 - rate) / count + z_squared / (4 * count * count))
    half = Z_95 * spread / (1 + z_squared / count)
    # At the ends rounding would leave a trace beside 0 and 1.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == count else min(1.0, centre + half)
    return low, high
