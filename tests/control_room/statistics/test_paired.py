"""Tests of two proportions, equal to scipy's and statsmodels' to a billionth."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import confint_proportions_2indep

from control_room.statistics.paired import mcnemar_exact, newcombe

COUNTS = st.integers(0, 3000)


@settings(deadline=None)
@given(COUNTS, COUNTS)
def test_mcnemars_p_value_is_the_binomial_tests(fixed: int, broken: int) -> None:
    flips = fixed + broken
    expected = 1.0 if flips == 0 else binomtest(fixed, flips, 0.5).pvalue
    assert mcnemar_exact(fixed, broken) == pytest.approx(expected, rel=1e-9, abs=1e-200)


@pytest.mark.parametrize(("fixed", "broken"), [(0, 1), (12, 3), (40, 41), (200, 150)])
def test_it_is_statsmodels_too(fixed: int, broken: int) -> None:
    expected = mcnemar([[10, fixed], [broken, 10]], exact=True).pvalue
    assert mcnemar_exact(fixed, broken) == pytest.approx(expected, rel=1e-9)


def test_a_hundred_thousand_flips_are_no_trouble() -> None:
    expected = binomtest(50_400, 100_000, 0.5).pvalue
    assert mcnemar_exact(50_400, 49_600) == pytest.approx(expected, rel=1e-8)


def test_negative_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="fixed = -1"):
        mcnemar_exact(-1, 2)


@settings(deadline=None)
@given(st.data())
def test_newcombes_interval_is_statsmodels(data: st.DataObject) -> None:
    count_a, count_b = (data.draw(st.integers(1, 2000)) for _ in range(2))
    a, b = data.draw(st.integers(0, count_a)), data.draw(st.integers(0, count_b))
    low, high = confint_proportions_2indep(b, count_b, a, count_a, method="newcomb")
    found = newcombe(a, count_a, b, count_b)
    assert found == pytest.approx((low, high), abs=1e-9)
    assert found[0] <= b / count_b - a / count_a <= found[1]


def test_a_side_without_trials_has_no_interval() -> None:
    with pytest.raises(ValueError, match="have no interval"):
        newcombe(0, 0, 1, 2)
