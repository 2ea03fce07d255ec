"""How a recorder tells of trouble without stopping the training."""

from __future__ import annotations

import sys
import warnings


class RecorderWarning(UserWarning):
    """Records or the status cannot be written at present, or were lost."""


def warn(message: str, *, at: str) -> None:
    """Show a ``RecorderWarning``; where warnings are errors, write it to stderr instead.

    ``at``, the time, makes each message new: Python shows one that repeats only once.
    """
    text = f"{message} [{at}]"
    try:
        warnings.warn(text, RecorderWarning, stacklevel=3)
    except RecorderWarning:
        sys.stderr.write(f"RecorderWarning: {text}\n")
