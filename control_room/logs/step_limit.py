"""Which steps a line of a log can mean: a stray one would stretch every axis.

Beyond ten times the steps that the run is to have (or has reached), or 10**12, a step is a mistake.
More than a few such lines are none: they are of an earlier part of the run, which had more to do.
"""

from __future__ import annotations

import json
from stat import S_ISREG

from control_room.recording.fields import MAX_STEP
from control_room.rundir import RunDir

_TIMES = 10
_MOST_BYTES = 2**20  # of a status; a larger one tells nothing here
FEW = 20
# What tells these rejects from others; see :func:`check_step`.
BEYOND = "times total_steps"


class StepLimit:
    """Follows ``total_steps`` and ``current_step`` in a run's status file. Not safe for threads."""

    def __init__(self, run: RunDir) -> None:
        self._file, self._inside = run.status_file, run.inside
        self._seen: tuple[int, int, int] | None = None
        self._steps = 0

    def look(self) -> int:
        """The largest step that can be meant. A status that cannot be read changes nothing."""
        try:
            found = self._file.stat()
            seen = found.st_ino, found.st_size, found.st_mtime_ns
            if seen != self._seen and S_ISREG(found.st_mode) and found.st_size <= _MOST_BYTES:
                told = json.loads(self._inside.read(self._file, _MOST_BYTES))
                self._seen = seen
                total, reached = _step(told.get("total_steps")), _step(told.get("current_step"))
                if total:
                    self._steps = max(total, reached)
        except (OSError, ValueError, RecursionError, AttributeError):
            pass  # none, half written, or no object: the training collector tells of it
        return min(MAX_STEP, _TIMES * self._steps) if self._steps else MAX_STEP


def _step(told: object) -> int:
    return told if type(told) is int and 0 < told <= MAX_STEP else 0


class StepCheck:
    """Leaves out the few lines of one log whose steps are beyond the limit."""

    def __init__(self, run: RunDir) -> None:
        self._limit = StepLimit(run)
        self._beyond = 0

    def check(self, step: int | None) -> None:
        """Raise ``ValueError`` for a step that is a mistake."""
        if step is None or self._beyond > FEW:
            return
        try:
            check_step(step, self._limit.look())
        except ValueError:
            self._beyond += 1
            if self._beyond <= FEW:
                raise


def check_step(step: int | None, limit: int) -> None:
    """Raise ``ValueError`` for a step above ``limit``, from :meth:`StepLimit.look`."""
    if step is not None and step > limit:
        raise ValueError(
            f"step {step:,} is more than ten {BEYOND} ({limit // _TIMES:,}): if it is meant, let "
            "the trainer tell a larger total_steps"
        )
