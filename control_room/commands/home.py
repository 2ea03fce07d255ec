"""Where the app and the demo are, and how they are started.

They are no packages that others can import: a wheel carries their folders inside this package
(``setup.py``), a checkout has them beside it. Only a process that is started here finds them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from control_room.extra import MissingExtra

_PACKAGE = Path(__file__).resolve().parents[1]
_CARRIED = _PACKAGE / "_app"


def home() -> Path:
    """The directory that holds ``app``, ``pages``, ``collectors`` and ``examples``."""
    return _CARRIED if _CARRIED.is_dir() else _PACKAGE.parent


def called(command: str, module: str) -> str:
    """What a person types for it: in a checkout, there need be no ``control-room``."""
    return f"control-room {command}".strip() if _CARRIED.is_dir() else f"python -m {module}"


def start(module: str, arguments: Sequence[str]) -> int:
    """Become the process that runs ``module`` of :func:`home`; does not return.

    Raises:
        MissingExtra: it is not there.
    """
    directory = home()
    if not (directory / module.partition(".")[0]).is_dir():
        raise MissingExtra(
            f"the app is not beside {_PACKAGE}: install all of it with "
            "`pip install 'control-room[app]'`"
        )
    paths = [str(directory), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    sys.stdout.flush()
    # -P: a working directory that holds an `app` of its own is not meant.
    os.execve(sys.executable, [sys.executable, "-P", "-m", module, *arguments], environment)
