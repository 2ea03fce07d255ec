"""Intervals equal those of an independent implementation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from control_room.statistics.intervals import wilson


@given(st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_scipys(case: tuple[int, int]) -> None:
    successes, count = case
    reference = binomtest(successes, count).proportion_ci(0.95, method="wilson")
    assert wilson(successes, count) == pytest.approx((reference.low, reference.high), abs=1e-9)


@pytest.mark.parametrize(("successes", "count"), [(0, 0), (2, 1), (-1, 5)])
def test_what_has_no_interval_is_refused(successes: int, count: int) -> None:
    with pytest.raises(ValueError, match=f"{successes} successes of {count}"):
        wilson(successes, count)
