"""Is one set of answers better than another: tests of two proportions, paired and not."""

from __future__ import annotations

import math

from control_room.statistics.intervals import wilson


def mcnemar_exact(fixed: int, broken: int) -> float:
    """The two-sided p-value that as many or more extreme flips come about by chance.

    ``fixed`` examples were wrong and are right, ``broken`` the other way; those that stayed say
    nothing. Exact: binomial with 1/2. McNemar 1947, "Note on the sampling error of the difference
    between correlated proportions or percentages". Raises ``ValueError`` for a negative count.
    """
    if fixed < 0 or broken < 0:
        raise ValueError(f"fixed = {fixed}, broken = {broken}: counts are 0 or more")
    flips, fewer = fixed + broken, min(fixed, broken)
    if fixed == broken:
        return 1.0
    # From the most likely term down, until the rest no longer counts.
    log_term = (
        math.lgamma(flips + 1)
        - math.lgamma(fewer + 1)
        - math.lgamma(flips - fewer + 1)
        - flips * math.log(2)
    )
    tail = term = 1.0
    for k in range(fewer, 0, -1):
        term *= k / (flips - k + 1)
        tail += term
        if term < tail * 1e-17:
            break
    return min(1.0, 2 * math.exp(log_term) * tail)


def newcombe(successes_a: int, count_a: int, successes_b: int, count_b: int) -> tuple[float, float]:
    """The 95 % interval of ``b``'s rate minus ``a``'s, for two independent samples.

    Newcombe 1998, "Interval estimation for the difference between independent proportions", method
    10: made of the two Wilson intervals. Raises ``ValueError`` without any trial on a side.
    """
    rate_a, rate_b = successes_a / max(count_a, 1), successes_b / max(count_b, 1)
    low_a, high_a = wilson(successes_a, count_a)
    low_b, high_b = wilson(successes_b, count_b)
    difference = rate_b - rate_a
    low = difference - math.hypot(rate_b - low_b, high_a - rate_a)
    high = difference + math.hypot(high_b - rate_b, rate_a - low_a)
    return low, high
