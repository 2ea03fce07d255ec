"""Which steps a line of a log can mean: a stray one would stretch every axis.

Beyond ten times the steps that the run is to have, or 10**12, a step is a mistake.
"""

from __future__ import annotations

import json

from control_room.fields import MAX_STEP
from control_room.rundir import RunDir

_TIMES = 10
# What tells these rejects from others; see :func:`check_step`.
BEYOND = "times total_steps"


class StepLimit:
    """Follows ``total_steps`` in a run's status file. Not safe for threads.

    The largest one that was ever told counts: a run that goes on with less to do keeps its past.
    """

    def __init__(self, run: RunDir, total_steps: int = 0) -> None:
        self._file = run.status_file
        self._seen: tuple[int, int, int] | None = None
        self.total_steps = total_steps

    def look(self) -> int:
        """The largest step that can be meant. A status that cannot be read changes nothing."""
        try:
            found = self._file.stat()
            seen = found.st_ino, found.st_size, found.st_mtime_ns
            if seen != self._seen:
                told = json.loads(self._file.read_bytes())
                self._seen = seen
                total = told.get("total_steps")
                if type(total) is int and self.total_steps < total <= MAX_STEP:
                    self.total_steps = total
        except (OSError, ValueError, RecursionError, AttributeError):
            pass  # none, half written, or no object: the training collector tells of it
        return min(MAX_STEP, _TIMES * self.total_steps) if self.total_steps else MAX_STEP


def check_step(step: int | None, limit: int) -> None:
    """Raise ``ValueError`` for a step above ``limit``, from :meth:`StepLimit.look`."""
    if step is not None and step > limit:
        raise ValueError(
            f"step {step:,} is more than ten {BEYOND} ({limit // _TIMES:,}): if it is meant, let "
            "the trainer tell a larger total_steps"
        )
