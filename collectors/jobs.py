"""Job queues: how much waits, runs and failed, by kind of work."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQueue:
    """One kind's jobs. None: not told."""

    kind: str  # "preview", "eval", "data_gen", "training_high", ...
    pending: int | None = None
    running: int | None = None
    failed: int | None = None
    last_latency_ms: float | None = None  # from being queued to being done, of the newest
