"""How a recorder tells of trouble without stopping the training."""

from __future__ import annotations

import sys
import warnings
from contextlib import suppress
from types import FrameType


class RecorderWarning(UserWarning):
    """Records or the status cannot be written at present, or were lost or refused."""


def warn(message: str, *, at: str) -> None:
    """Show a ``RecorderWarning`` at the line that called; where warnings are errors, on stderr.

    ``at``, the time, makes each message new: Python shows one that repeats only once.
    """
    text = f"{message} [{at}]"
    # Where nothing can be shown (a closed stderr, a hook that fails) the training goes on unwarned.
    with suppress(Exception):
        try:
            warnings.warn(text, RecorderWarning, stacklevel=_caller_level())
        except RecorderWarning:
            sys.stderr.write(f"RecorderWarning: {text}\n")


def _caller_level() -> int:
    """How many calls lie between :func:`warn` and the code that is not of this package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame):
        level, frame = level + 1, frame.f_back
    return level


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "control_room"
