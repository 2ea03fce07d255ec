import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.files.training.trends import (
    LossHistory,
    Pace,
    SpeedHistory,
    Thinned,
    ema,
    loss_trend,
    throughput_trend,
)


def noisy(slope: float, *, points: int = 100, noise: float = 0.05) -> list[tuple[int, float]]:
    chance = random.Random(7)
    return [(step, 2.0 + slope * step + chance.gauss(0, noise)) for step in range(points)]


def history(losses: list[float]) -> LossHistory:
    made = LossHistory()
    for step, loss in enumerate(losses):
        made.add(step, loss)
    return made


@pytest.mark.parametrize(
    ("slope", "trend"), [(-0.01, "improving"), (0.0, "stable"), (0.01, "rising")]
)
def test_a_trend_is_seen_through_noise(slope: float, trend: str) -> None:
    assert loss_trend(noisy(slope)) == trend


def test_few_losses_tell_no_trend() -> None:
    assert loss_trend(noisy(-0.1, points=9)) == "unknown"


def test_one_spike_is_no_trend() -> None:
    points = noisy(0.0)
    points[-1] = (99, 40.0)
    assert loss_trend(points) == "stable"


def test_a_certain_but_tiny_slope_is_no_trend() -> None:
    assert loss_trend([(step, 2.0 - 0.0001 * step) for step in range(100)]) == "stable"


def test_equal_losses_and_equal_steps_are_stable() -> None:
    assert loss_trend([(step, 1.0) for step in range(50)]) == "stable"
    assert loss_trend([(3, float(loss)) for loss in range(50)]) == "stable"


def test_an_average_starts_at_the_first_value_and_follows_slowly() -> None:
    assert ema(None, 4.0) == 4.0
    assert ema(4.0, 2.0) == pytest.approx(3.8)
    assert history([4.0, 2.0]).streaming_ce == pytest.approx(3.8)


def test_the_variance_is_that_of_the_newest_hundred() -> None:
    assert history([1.0]).variance is None
    assert history([1.0, 3.0]).variance == pytest.approx(2.0)
    assert history([50.0, *[1.0] * 100]).variance == 0.0


def test_nan_and_infinity_leave_the_statistics_alone() -> None:
    made = history([1.0, math.nan, 3.0, math.inf, 1e200])
    assert made.variance == pytest.approx(2.0)
    assert made.recent == ((0, 1.0), (2, 3.0))


@given(st.lists(st.floats(), max_size=120))
def test_any_losses_have_statistics(losses: list[float]) -> None:
    made = history(losses)
    assert made.trend in ("improving", "stable", "rising", "unknown")
    assert made.variance is None or made.variance >= 0


@given(st.integers(min_value=1, max_value=3000))
def test_a_thinned_series_spans_all_and_ends_with_the_newest(count: int) -> None:
    series = Thinned()
    for step in range(count):
        series.add(step, float(step))
    points = series.points()
    steps = [step for step, _ in points]
    assert len(points) <= 300
    assert steps[0] == 0
    assert steps[-1] == count - 1
    gaps = [after - before for before, after in pairwise(steps)]
    assert len(set(gaps[:-1])) <= 1, "evenly spread, but for the newest"
    assert len(points) == count or len(points) >= 100


def test_a_speed_has_a_baseline_from_five_samples_on() -> None:
    speeds = SpeedHistory()
    for step, value in enumerate([10.0, 100.0, 110.0, 90.0]):
        speeds.add(step, value)
    assert speeds.baseline is None
    speeds.add(4, 100.0)
    assert speeds.baseline == 100.0


@pytest.mark.parametrize(
    ("tokens_per_sec", "trend"),
    [(79, "degraded"), (80, "normal"), (110, "normal"), (111, "excellent")],
)
def test_speed_is_judged_by_its_ratio_to_the_baseline(tokens_per_sec: float, trend: str) -> None:
    told = throughput_trend(tokens_per_sec, 100, degraded_ratio=0.8, excellent_ratio=1.1)
    assert told == trend
    assert throughput_trend(1, 0, degraded_ratio=0.8, excellent_ratio=1.1) is None


def test_time_left_follows_from_the_steps_of_this_session() -> None:
    pace = Pace(max_gap_s=1800)
    assert pace.eta_s(10) is None
    pace.saw(15_000, at=100.0)
    assert pace.eta_s(10) is None
    pace.saw(15_010, at=120.0)
    assert pace.eta_s(100) == pytest.approx(200.0)
    assert pace.eta_s(0) == 0.0


def test_a_pause_and_a_machine_that_slept_do_not_slow_the_pace() -> None:
    pace = Pace(max_gap_s=1800)
    pace.saw(0, at=0.0)
    pace.saw(10, at=10.0)
    pace.interrupt()
    pace.saw(11, at=1000.0)
    pace.saw(21, at=1010.0)
    pace.saw(22, at=9000.0)
    assert pace.eta_s(5) == pytest.approx(5.0)
