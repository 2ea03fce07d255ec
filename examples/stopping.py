"""Stopping in good order: signals and time limits become a question that loops ask."""

from __future__ import annotations

import signal
import time
from types import FrameType


class StopRequest:
    """Whether to stop, and why: a signal came, or the time is over."""

    def __init__(self, minutes: float | None = None) -> None:
        self._signal: signal.Signals | None = None
        self._minutes = minutes
        self._deadline = None if minutes is None else time.monotonic() + 60 * minutes

    def install(self) -> None:
        """From now on Ctrl-C, SIGTERM and SIGHUP ask for a stop, once or more often."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._take)

    def asked(self) -> bool:
        """It is time to stop."""
        return self.reason is not None

    @property
    def reason(self) -> str | None:
        """For a person; None while there is no reason to stop."""
        if self._signal is signal.SIGINT:
            return "stopped with Ctrl-C"
        if self._signal is not None:
            return f"stopped from outside ({self._signal.name})"
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return f"the {self._minutes:g} minutes it was given are over"
        return None

    def _take(self, number: int, _: FrameType | None) -> None:
        self._signal = self._signal or signal.Signals(number)
