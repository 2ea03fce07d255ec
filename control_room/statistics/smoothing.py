"""Curves made calmer, to be laid over each other."""

from __future__ import annotations

import math
from collections.abc import Sequence


def smoothed(values: Sequence[float], weight: float) -> list[float]:
    """The exponential moving average, corrected for its start, as TensorBoard draws it.

    ``weight`` from 0 (as it is) to below 1. What is not finite stays, and is passed over.
    Kingma and Ba 2015, "Adam", section 3: the correction. Raises ``ValueError`` for another weight.
    """
    if not 0 <= weight < 1:
        raise ValueError(f"weight = {weight}: expected 0 up to, not with, 1")
    found, average, number = [], 0.0, 0
    for value in values:
        if not math.isfinite(value):
            found.append(value)
            continue
        number += 1
        average = weight * average + (1 - weight) * value
        found.append(average / (1 - weight**number))
    return found
