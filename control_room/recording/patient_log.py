"""A daily log that never fails its caller: lines wait while the disk refuses them."""

from __future__ import annotations

import time
from collections import deque
from datetime import date

from control_room.recording.daily_log import DailyLog

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 30.0
_MAX_WAITING_BYTES = 16 * 2**20


class PatientLog:
    """Keeps lines in memory during an outage and tries again after growing pauses.

    ``error`` is what the outage began with, None when all is well. ``dropped`` counts the lines
    that are lost: the oldest ones, when more than ``max_waiting`` lines or 16 MiB wait.
    """

    def __init__(self, log: DailyLog, *, max_waiting: int) -> None:
        self.error: OSError | None = None
        self.dropped = 0
        self._log = log
        self._max_waiting = max_waiting
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._pause_s = _FIRST_PAUSE_S
        self._retry_at = 0.0

    @property
    def waiting(self) -> int:
        """How many lines wait to be written."""
        return len(self._waiting)

    def append(self, line: bytes, day: date) -> None:
        """Write the line, or let it wait for the disk."""
        if self.error is None:
            try:
                self._log.append(line, day)
                return
            except OSError as error:
                self.error = error
                self._pause_s = _FIRST_PAUSE_S
                self._retry_at = time.monotonic() + self._pause_s
        self._keep(line)
        self.retry(day)

    def retry(self, day: date, *, at_once: bool = False) -> None:
        """Write what waits when its pause is over, or ``at_once``."""
        if self.error is None or (not at_once and time.monotonic() < self._retry_at):
            return
        while self._waiting:
            try:
                self._log.append(self._waiting[0], day)
            except OSError:
                self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
                self._retry_at = time.monotonic() + self._pause_s
                return
            self._waiting_bytes -= len(self._waiting.popleft())
        self.error = None

    def reopen_if_replaced(self, day: date) -> bool:
        """Whether the log file was deleted or replaced; the next line then begins a new one.

        A file of another day than ``day`` is closed.
        """
        try:
            self._log.close_if_over(day)
            return self._log.close_if_replaced()
        except OSError:
            return False  # nothing is known about the path, and the open file still takes lines

    def close(self, day: date) -> None:
        """Write what waits and close the file. What still cannot be written is dropped."""
        self.retry(day, at_once=True)
        self.dropped += len(self._waiting)
        self.forget()

    def forget(self) -> None:
        """Close the file and forget what waits, without writing."""
        self._waiting.clear()
        self._waiting_bytes = 0
        self.error = None
        try:
            self._log.close()
        except OSError as error:
            self.error = error

    def _keep(self, line: bytes) -> None:
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        while len(self._waiting) > self._max_waiting or self._waiting_bytes > _MAX_WAITING_BYTES:
            self._waiting_bytes -= len(self._waiting.popleft())
            self.dropped += 1
