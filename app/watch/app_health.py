"""Whether the app itself is well, and why not; the run that it watches may be in any state."""

from __future__ import annotations

import time
from typing import Literal

from pydantic import BaseModel

from app.watch.monitor import Monitor
from app.watch.sources import HISTORY

# The views are built at least once a second; older than this, something hangs.
STALE_AFTER_S = 10.0
# The history opens its index anew after a failure, and then keeps it in memory: a few seconds.
FAILING_AFTER_S = 30.0


class SourceHealth(BaseModel):
    """One source of readings."""

    age_s: float | None  # None: not read yet
    error: str | None
    hangs_s: float | None  # for how long; None: it does not


class Health(BaseModel):
    """Whether the app itself is well; the run may be in any state."""

    status: Literal["ok", "failing"]
    reasons: list[str]  # why it is failing, for a person
    sampler_alive: bool
    views_age_s: float
    history: Literal["not opened", "reading", "ready", "failing"]
    sources: dict[str, SourceHealth]


def is_stuck(health: Health) -> bool:
    """Whether the app itself hangs, so that a new start may help.

    It does not help a driver or a machine that hangs, nor a full disk.
    """
    return (
        not health.sampler_alive
        or health.views_age_s >= STALE_AFTER_S
        or health.sources[HISTORY].hangs_s is not None
    )


def app_health(monitor: Monitor) -> Health:
    """How the app is now."""
    alive, age_s, now = monitor.alive(), monitor.tick_age_s, time.time()
    sources, hanging = monitor.sources, monitor.hanging()
    history = sources[HISTORY]
    wanted = monitor.history.state != "not opened"
    failing_s = 0.0 if history.failing_since is None else now - history.failing_since
    failing = wanted and failing_s >= FAILING_AFTER_S
    reasons = [f"{name}: no answer for {for_s:.0f} s" for name, for_s in sorted(hanging.items())]
    if failing:
        reasons.append(f"the history has been failing for {failing_s:.0f} s: {history.error}")
    if not alive:
        reasons.append("sampling has stopped")
    if age_s >= STALE_AFTER_S:
        reasons.append(f"the views are {age_s:.0f} s old")
    return Health(
        status="failing" if reasons else "ok",
        reasons=reasons,
        sampler_alive=alive,
        views_age_s=round(age_s, 3),
        history="failing" if failing else monitor.history.state,
        sources={
            name: SourceHealth(
                age_s=sample.age_s(now), error=sample.error, hangs_s=hanging.get(name)
            )
            for name, sample in sorted(sources.items())
        },
    )
