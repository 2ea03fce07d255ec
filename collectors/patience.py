"""Remembers what failed, so that it is tried again: never given up, but after growing pauses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something failed, and until when (in the clock's seconds) it is left alone."""

    reason: str
    broken: bool  # False: it works as built, there is only nothing to get
    until: float
    pause_s: float


class Patience:
    """Failures by key. ``clock`` counts seconds and never goes back."""

    def __init__(
        self, clock: Callable[[], float], *, first_pause_s: float, longest_pause_s: float
    ) -> None:
        self._clock = clock
        self._first_pause_s = first_pause_s
        self._longest_pause_s = longest_pause_s
        self._failures: dict[str, Failure] = {}

    def pausing(self, key: str) -> Failure | None:
        """The failure for which ``key`` is still to be left alone; None when it may be tried."""
        failure = self._failures.get(key)
        return failure if failure is not None and self._clock() < failure.until else None

    def failed(self, key: str, reason: str, *, broken: bool = True) -> Failure:
        """Note a failure. What is ``broken`` rests longer each time, the rest longest at once."""
        before = self._failures.get(key)
        pause_s = self._longest_pause_s
        if broken:
            grown_s = self._first_pause_s
            if before is not None and before.broken:
                grown_s = 2 * before.pause_s
            pause_s = min(grown_s, self._longest_pause_s)
        failure = Failure(reason, broken, self._clock() + pause_s, pause_s)
        self._failures[key] = failure
        return failure

    def worked(self, key: str) -> None:
        """Forget the failures of ``key``."""
        self._failures.pop(key, None)
