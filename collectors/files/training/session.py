"""What is worked out from the steps of one session: trend, average, speed, time left.

A new segment starts afresh, so that a resumed run is not judged by its earlier life.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from collectors.files.training.known_values import KnownValues
from collectors.files.training.trends import LossHistory, Pace, SpeedHistory, throughput_trend

_TOLD_HOLDS_S = 300.0  # a trainer's own figure stands this long after it stopped telling it

SpeedSource = Literal["status", "samples", "metrics", "throughput"]
_RANK: dict[SpeedSource, int] = {"status": 0, "samples": 1, "metrics": 2, "throughput": 3}


class Session:
    """The history of one segment. Times are epoch seconds."""

    def __init__(self, *, max_gap_s: float, degraded_ratio: float, excellent_ratio: float) -> None:
        self._max_gap_s = max_gap_s
        self._degraded_ratio = degraded_ratio
        self._excellent_ratio = excellent_ratio
        self.restart()

    def restart(self) -> None:
        self.losses = LossHistory()
        self.speeds = SpeedHistory()
        self.pace = Pace(max_gap_s=self._max_gap_s)
        self._validation: tuple[float, float | None] | None = None  # and the training loss then
        self._speed_source: SpeedSource = "status"

    def add_speed(self, source: SpeedSource, step: int, tokens_per_sec: float) -> None:
        """Note a speed. Once a better source speaks, the others are not mixed in."""
        if _RANK[source] < _RANK[self._speed_source]:
            return
        if source != self._speed_source:
            self._speed_source, self.speeds = source, SpeedHistory()
        self.speeds.add(step, tokens_per_sec)

    def add_val_loss(self, val_loss: float) -> None:
        """Note a new validation loss beside the training loss of the same time."""
        self._validation = (val_loss, self.losses.streaming_ce)

    def has_val_loss(self, val_loss: float) -> bool:
        """Whether this is the validation loss that was noted last."""
        return self._validation is not None and _same(self._validation[0], val_loss)

    def validation(self, known: KnownValues) -> dict[str, float | None]:
        """``train_loss`` and ``val_train_gap`` as they belong to the known ``val_loss``.

        The trainer's own gap counts where it was told with that loss or after it.
        """
        val_loss, gap = known.get("val_loss"), known.get("val_train_gap")
        if val_loss is None:
            return {"train_loss": None if gap is not None else self.losses.streaming_ce}
        told_at = known.seen_at("val_loss") or 0.0
        if gap is not None and (known.seen_at("val_train_gap") or 0.0) >= told_at:
            return {"train_loss": _finite(val_loss - gap), "val_train_gap": gap}
        train_loss = (
            self._validation[1] if self._validation and self.has_val_loss(val_loss) else None
        )
        gap = None if train_loss is None else _finite(val_loss - train_loss)
        return {"train_loss": train_loss, "val_train_gap": gap}

    @property
    def has_logged_speed(self) -> bool:
        """Whether a log, and not the status alone, tells the speed of this session."""
        return _RANK[self._speed_source] > _RANK["samples"]

    def derive(self, known: KnownValues) -> dict[str, Any]:
        """The fields that the trainer does not tell, or told long before the rest."""
        newest_at = max(known.times().values(), default=0.0)
        trend = self.losses.trend if self.losses.streaming_ce is not None else None
        candidates: dict[str, Any] = {
            "streaming_ce": self.losses.streaming_ce,
            "loss_trend": trend,
            "loss_variance": self.losses.variance,
            "tokens_per_sec_avg": self.speeds.average,
            "tokens_per_sec_baseline": self.speeds.baseline,
        }
        derived = {
            name: value
            for name, value in candidates.items()
            if value is not None and not _holds(known, name, newest_at)
        }
        if not _holds(known, "throughput_trend", newest_at):
            speed_trend = self._throughput_trend(known, derived)
            if speed_trend is not None:
                derived["throughput_trend"] = speed_trend
        return derived

    def eta_s(self, known: KnownValues, done: str, total: str) -> float | None:
        """Seconds from the field ``done`` to the field ``total`` at this session's pace."""
        reached, goal = known.get(done), known.get(total)
        if reached is None or not goal or reached > goal:
            return None
        return self.pace.eta_s(goal - reached)

    def _throughput_trend(self, known: KnownValues, derived: dict[str, Any]) -> str | None:
        speed = derived.get("tokens_per_sec_avg", known.get("tokens_per_sec_avg"))
        baseline = derived.get("tokens_per_sec_baseline", known.get("tokens_per_sec_baseline"))
        if speed is None or baseline is None:
            return None
        return throughput_trend(
            speed,
            baseline,
            degraded_ratio=self._degraded_ratio,
            excellent_ratio=self._excellent_ratio,
        )


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _holds(known: KnownValues, name: str, newest_at: float) -> bool:
    told_at = known.seen_at(name)
    if told_at is None or known.get(name) == "unknown":
        return False
    return newest_at - told_at <= _TOLD_HOLDS_S
