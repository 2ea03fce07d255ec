"""Where a session of a run begins, and whether two runs write to one directory.

A step that goes backwards is a resume: a new segment, not an error. Steps that jump back and
forth, or a writer that comes back after another one wrote, are two runs at once.
"""

from __future__ import annotations

from collections import deque

from collectors.files.training.status_file import Writer

_SLACK_S = 1.0  # a start may be written down cut to the second
_CLASH_WINDOW_S = 600.0
_MIN_JUMPS = 3  # single steps may be logged out of order, and a run may resume more than once
_MIN_RETURNS = 2  # a writer that is stopping may write once more after the next one has started


class Segments:
    """Follows the steps of one run. Times are epoch seconds."""

    def __init__(self) -> None:
        self.start_step: int | None = None
        self.count = 1
        self._began_at: float | None = None
        self._last_step: int | None = None
        self._drop: tuple[int, int] | None = None  # from which step to which
        self._last_low: int | None = None
        self._pending_since: float | None = None
        self._writers: list[Writer] = []
        self._writer_seen_at: float | None = None
        self._jumps: deque[float] = deque(maxlen=_MIN_JUMPS)
        self._returns: deque[float] = deque(maxlen=_MIN_RETURNS)

    def wrote(self, writer: Writer, at: float) -> bool:
        """Note who wrote, before the steps that came with it; True when it is somebody else."""
        if not writer.is_known:
            return False
        before, self._writer_seen_at = self._writer_seen_at, at
        if self._writers and self._writers[-1] == writer:
            return False
        is_other = bool(self._writers)
        if writer in self._writers:
            self._writers.remove(writer)
            self._returns.append(at)
        self._writers = [*self._writers[-3:], writer]
        since = writer.started_at if writer.started_at is not None else before
        if since is not None and not self.clash(at):
            # A step that has already gone backwards since then was this writer's first.
            counted = self._began_at is not None and self._began_at >= since - _SLACK_S
            self._pending_since = None if counted else since - _SLACK_S
        return is_other

    def saw(self, step: int, at: float) -> bool:
        """Note a step; True when it begins a new segment."""
        last, self._last_step = self._last_step, step
        begins = self._is_next_writers(at) or last is None
        if not begins and last is not None:
            begins = step < last
            self._note_jump(last, step, at)
        if not begins or (last is not None and self.clash(at)):
            return False
        self.count += last is not None
        self.start_step, self._began_at = step, at
        return True

    def _is_next_writers(self, at: float) -> bool:
        if self._pending_since is None or at < self._pending_since:
            return False
        self._pending_since = self._drop = None
        return True

    def _note_jump(self, last: int, step: int, at: float) -> None:
        """Half way back up in a single step is the other run's step, not progress."""
        if step < last:
            self._drop = (last, step)
        elif self._drop is not None:
            peak, low = self._drop
            if step - last > 1 and 2 * (step - last) >= peak - last > 0:
                # A run that crashes and resumes over and over comes back to the same step.
                if low != self._last_low:
                    self._jumps.append(at)
                self._last_low, self._drop = low, None
            elif step >= peak:
                self._drop = None

    def forget_start(self) -> None:
        """The first step that was seen is not where this session began."""
        if self.count == 1:
            self.start_step = None

    def clash(self, now: float) -> str | None:
        """Why this looks like two runs in one directory, for a person; None when it does not."""
        if self._recently(self._returns, _MIN_RETURNS, now):
            who = " and ".join(str(writer) for writer in self._writers[-2:])
            return (
                f"two runs write to this directory ({who}): give each its own; in distributed "
                "training let one process record."
            )
        if self._recently(self._jumps, _MIN_JUMPS, now):
            return (
                "two runs write to this directory (the step jumps back and forth): give each its "
                "own; in distributed training let one process record."
            )
        return None

    def _recently(self, times: deque[float], count: int, now: float) -> bool:
        return len(times) >= count and now - times[0] <= _CLASH_WINDOW_S
