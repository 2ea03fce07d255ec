"""Trends as trainers tell them, in words or as a slope."""

from __future__ import annotations

import math

from collectors.files.training.reading import EvalTrend, LossTrend, ThroughputTrend
from collectors.json_values import any_float, word

_FLAT_SLOPE = 1e-6  # loss per step

_LOSS_WORDS: dict[str, LossTrend] = {
    "improving": "improving",
    "falling": "improving",
    "decreasing": "improving",
    "stable": "stable",
    "flat": "stable",
    "plateau": "stable",
    "degrading": "rising",
    "rising": "rising",
    "increasing": "rising",
    "unknown": "unknown",
}
_THROUGHPUT_WORDS: dict[str, ThroughputTrend] = {
    "normal": "normal",
    "stable": "normal",
    "degraded": "degraded",
    "degrading": "degraded",
    "falling": "degraded",
    "decreasing": "degraded",
    "excellent": "excellent",
    "improving": "excellent",
    "rising": "excellent",
    "increasing": "excellent",
}
_EVAL_WORDS: dict[str, EvalTrend] = {
    "improving": "improving",
    "rising": "improving",
    "stable": "stable",
    "declining": "declining",
    "degrading": "declining",
    "falling": "declining",
    "unknown": "unknown",
}


def loss_trend_of(value: object) -> LossTrend:
    """A trend told as a word, or as the slope of the loss."""
    if isinstance(value, str):
        return word(value, _LOSS_WORDS)
    slope = any_float(value)
    if math.isnan(slope):
        return "unknown"
    if abs(slope) <= _FLAT_SLOPE:
        return "stable"
    return "rising" if slope > 0 else "improving"


def throughput_trend_of(value: object) -> ThroughputTrend:
    """A trend of the speed told as a word."""
    return word(value, _THROUGHPUT_WORDS)


def eval_trend_of(value: object) -> EvalTrend:
    """The trend of the fixed set told as a word."""
    return word(value, _EVAL_WORDS)
