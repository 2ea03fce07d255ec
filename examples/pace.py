"""The trainer's clocks: what is due now, how fast it trains, how much memory it holds."""

from __future__ import annotations

import resource
import time
from pathlib import Path


class Schedule:
    """Things to be done at intervals; each is due at once the first time it is asked about."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}

    def is_due(self, what: str, interval_s: float) -> bool:
        """True at most once in ``interval_s`` seconds."""
        now = time.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + interval_s
        return True


class Speed:
    """Tokens per second of training alone, between one reading and the next."""

    def __init__(self) -> None:
        self.newest: float | None = None
        self._tokens, self._seconds = 0, 0.0

    def add(self, tokens: int, seconds: float) -> None:
        """Count one step."""
        self._tokens += tokens
        self._seconds += seconds

    def read(self) -> float:
        """Tokens per second since the last reading; there must have been a step since."""
        self.newest = self._tokens / self._seconds
        self._tokens, self._seconds = 0, 0.0
        return self.newest


def resident_gb() -> float:
    """Memory of this process that is in RAM, in GiB (``/proc/self/statm``, Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**30
