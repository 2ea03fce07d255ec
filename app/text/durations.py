"""Durations in words, as short as a card has room for."""

from __future__ import annotations

import math


def short_duration(seconds: float | None) -> str | None:
    """``2h 15m``, ``3m 20s``, ``45s``: two units at most. None: not known."""
    if seconds is None or not math.isfinite(seconds):
        return None
    whole = round(max(0.0, seconds))
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, secs = divmod(rest, 60)
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    if minutes:
        return f"{minutes}m {secs:02d}s"
    return f"{secs}s"
