"""The present as log lines and daily file names need it, cheap to ask for often."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date


class LocalMoment:
    """``text`` is ISO 8601 with milliseconds and UTC offset, ``day`` the local date.

    ``clock`` tells seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.text = ""
        self.day = date.min
        self._clock = clock
        self._second = -1
        self._to_seconds = ""
        self._offset = ""
        self.refresh()

    def refresh(self) -> bool:
        """Ask the clock. True when another second has begun."""
        now = self._clock()
        second = int(now)
        is_new = second != self._second
        if is_new:
            self._begin(second)
        self.text = f"{self._to_seconds}.{int((now - second) * 1000):03d}{self._offset}"
        return is_new

    def _begin(self, second: int) -> None:
        local = time.localtime(second)
        minutes = abs(local.tm_gmtoff) // 60
        sign = "-" if local.tm_gmtoff < 0 else "+"
        self._second = second
        self._to_seconds = time.strftime("%Y-%m-%dT%H:%M:%S", local)
        self._offset = f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
        self.day = date(local.tm_year, local.tm_mon, local.tm_mday)
