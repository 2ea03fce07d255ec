"""The data queue of a run directory: how many files wait at each priority, which one is in work."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuesReading:
    """Counts of ``*.jsonl`` files. None: that directory does not exist or cannot be read."""

    high: int | None
    normal: int | None
    low: int | None
    processing: int | None
    processing_files: tuple[str, ...]  # names, oldest first
    next_files: tuple[str, ...]  # the next few to be taken, in the order high, normal, low
    pending_bytes: int | None  # of the files that wait
    processing_bytes: int | None
    problem: str | None = None  # names the directory and the reason
