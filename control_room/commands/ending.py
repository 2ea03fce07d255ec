"""How a command ends: with an exit status and, where it failed, one line that says what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from control_room.extra import MissingExtra

# As a shell counts the signals that would have ended it.
INTERRUPTED = 128 + 2
NOBODY_READS = 128 + 13


def ended(program: Callable[[], int]) -> int:
    """The exit status of ``program``.

    Ctrl-C, a reader that went away (``control-room check | head``) and a package that is not
    installed end it too, without a traceback.
    """
    try:
        try:
            return program()
        finally:
            sys.stdout.flush()  # of --help too, which ends the program itself
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # What is still to be written goes nowhere: Python itself writes it out when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS
    except MissingExtra as error:
        print(f"control-room: {error}", file=sys.stderr)
        return 2
