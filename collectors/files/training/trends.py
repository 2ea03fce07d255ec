"""How loss and speed develop over a session: smoothed values, spread, and which way they go."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Sequence

from collectors.files.training.reading import LossTrend, ThroughputTrend

EMA_ALPHA = 0.1  # weight of the newest value in a moving average
TREND_POINTS = 100  # losses that trend and variance look back on
_MIN_TREND_POINTS = 10
_MIN_T = 3.0  # a slope counts when it is this many standard errors from none ...
_MIN_CHANGE = 0.01  # ... and moves the loss by this share of its mean over the window
_MAX_LOSS = 1e30  # beyond it squares overflow; shown as it is, but in no statistic

MAX_RECENT = 300
_MIN_SPEEDS = 5


def ema(before: float | None, value: float, alpha: float = EMA_ALPHA) -> float:
    """One step of an exponential moving average: ``alpha * value + (1 - alpha) * before``."""
    return value if before is None else alpha * value + (1.0 - alpha) * before


def loss_trend(points: Sequence[tuple[int, float]]) -> LossTrend:
    """Whether the losses of ``points`` (step, loss) fall, rise or stay.

    The least-squares slope counts when it differs from zero by three standard errors
    (t = r * sqrt((n - 2) / (1 - r^2)), r being Pearson's correlation of loss with step) and moves
    the loss by more than 1 % of its mean over the window. One outlier widens the error more than
    it bends the line, so a spike alone is no trend. Fewer than ten points: "unknown".
    """
    if len(points) < _MIN_TREND_POINTS:
        return "unknown"
    steps = [float(step) for step, _ in points]
    losses = [loss for _, loss in points]
    try:
        r = statistics.correlation(steps, losses)
        slope = statistics.linear_regression(steps, losses).slope
    except statistics.StatisticsError:  # all steps or all losses are equal
        return "stable"
    unexplained = max(1.0 - r * r, 1e-12)
    t = abs(r) * math.sqrt((len(points) - 2) / unexplained)
    change = abs(slope) * (steps[-1] - steps[0])
    if t < _MIN_T or change < _MIN_CHANGE * abs(statistics.fmean(losses)):
        return "stable"
    return "rising" if slope > 0 else "improving"


def throughput_trend(
    tokens_per_sec: float, baseline: float, *, degraded_ratio: float, excellent_ratio: float
) -> ThroughputTrend | None:
    """Speed against the baseline; None when the baseline is 0."""
    if baseline <= 0:
        return None
    ratio = tokens_per_sec / baseline
    if ratio < degraded_ratio:
        return "degraded"
    return "excellent" if ratio > excellent_ratio else "normal"


class Thinned:
    """At most ``limit`` of the points added, evenly spread, and always the newest."""

    def __init__(self, limit: int = MAX_RECENT) -> None:
        self._limit = limit
        self._kept: list[tuple[int, float]] = []
        self._newest: tuple[int, float] | None = None
        self._every = 1
        self._skipped = 0

    def add(self, step: int, value: float) -> None:
        self._newest = (step, value)
        self._skipped += 1
        if self._skipped < self._every:
            return
        self._skipped = 0
        self._kept.append(self._newest)
        if len(self._kept) >= self._limit:
            self._kept = self._kept[::2]
            self._every *= 2
            self._skipped = self._every // 2

    def points(self) -> tuple[tuple[int, float], ...]:
        """Oldest first."""
        if self._newest is None or (self._kept and self._kept[-1] == self._newest):
            return tuple(self._kept)
        return (*self._kept, self._newest)


class LossHistory:
    """The losses of one segment. NaN and infinity are left out: they have no average."""

    def __init__(self) -> None:
        self.streaming_ce: float | None = None
        self._window: deque[tuple[int, float]] = deque(maxlen=TREND_POINTS)
        self._thinned = Thinned()
        self._trend: LossTrend | None = "unknown"
        self._variance: float | None = None
        self._recent: tuple[tuple[int, float], ...] | None = ()

    def add(self, step: int, loss: float) -> None:
        if not math.isfinite(loss) or abs(loss) > _MAX_LOSS:
            return
        self.streaming_ce = ema(self.streaming_ce, loss)
        self._window.append((step, loss))
        self._thinned.add(step, loss)
        self._trend = self._recent = None  # worked out when asked for

    @property
    def trend(self) -> LossTrend:
        self._refresh()
        return self._trend or "unknown"

    @property
    def variance(self) -> float | None:
        """Sample variance of the newest 100 losses; None with fewer than two."""
        self._refresh()
        return self._variance

    @property
    def recent(self) -> tuple[tuple[int, float], ...]:
        """(step, loss) over the whole segment, thinned to at most 300, oldest first."""
        self._refresh()
        return self._recent or ()

    def _refresh(self) -> None:
        if self._trend is not None:
            return
        self._trend = loss_trend(self._window)
        losses = [loss for _, loss in self._window]
        self._variance = None
        if len(losses) > 1:
            mean = statistics.fmean(losses)
            self._variance = math.fsum((loss - mean) ** 2 for loss in losses) / (len(losses) - 1)
        self._recent = self._thinned.points()


class SpeedHistory:
    """Tokens per second over one segment."""

    def __init__(self) -> None:
        self.average: float | None = None  # exponential moving average
        self._count = 0
        self._thinned = Thinned()
        self._baseline: float | None = None
        self._is_stale = False

    def add(self, step: int, tokens_per_sec: float) -> None:
        if not math.isfinite(tokens_per_sec) or tokens_per_sec < 0:
            return
        self.average = ema(self.average, tokens_per_sec)
        self._count += 1
        self._thinned.add(step, tokens_per_sec)
        self._is_stale = True

    @property
    def baseline(self) -> float | None:
        """The session's median so far; None with fewer than five samples."""
        if self._is_stale and self._count >= _MIN_SPEEDS:
            self._baseline = statistics.median(value for _, value in self._thinned.points())
            self._is_stale = False
        return self._baseline


class Pace:
    """Steps per second of one session, from the times at which steps were seen.

    Time between two sightings counts only when the run was not paused between them, and not at
    all beyond ``max_gap_s``: a machine that slept is no slow step.
    """

    def __init__(self, *, max_gap_s: float) -> None:
        self._max_gap_s = max_gap_s
        self._last: tuple[int, float] | None = None
        self._steps = 0
        self._active_s = 0.0

    def saw(self, step: int, at: float) -> None:
        """``step`` was reached at ``at`` (epoch seconds)."""
        if self._last is not None:
            last_step, last_at = self._last
            if step <= last_step or at < last_at:
                return
            if at - last_at <= self._max_gap_s:
                self._steps += step - last_step
                self._active_s += at - last_at
        self._last = (step, at)

    def interrupt(self) -> None:
        """What passes from the last sighting to the next one does not count."""
        self._last = None

    def eta_s(self, steps_left: int) -> float | None:
        """Seconds for ``steps_left`` at this session's mean pace; None while it has none."""
        if self._steps <= 0 or self._active_s <= 0:
            return None
        return max(0, steps_left) * self._active_s / self._steps
