"""Smoothing: pandas' exponentially weighted mean, with what is not finite passed over."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_room.statistics.smoothing import smoothed

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


@settings(deadline=None)
@given(VALUES, st.floats(0, 0.99))
def test_it_is_the_corrected_exponential_mean(values: list[float], weight: float) -> None:
    expected = pd.Series(values).ewm(alpha=1 - weight, adjust=True).mean()
    assert smoothed(values, weight) == pytest.approx(list(expected), rel=1e-6, abs=1e-6)


@settings(deadline=None)
@given(VALUES)
def test_no_weight_changes_nothing(values: list[float]) -> None:
    assert smoothed(values, 0) == pytest.approx(values)


def test_what_is_not_finite_stays_and_does_not_spread() -> None:
    found = smoothed([1.0, math.nan, 1.0, math.inf, 1.0], 0.5)
    assert math.isnan(found[1])
    assert found[3] == math.inf
    assert [found[0], found[2], found[4]] == pytest.approx([1.0, 1.0, 1.0])


@pytest.mark.parametrize("weight", [1, 1.5, -0.1])
def test_other_weights_are_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        smoothed([1.0], weight)
