"""``python -m control_room``: the same commands as ``control-room``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from control_room import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name. Returns the exit status."""
    return cli.main(argv, prog="python -m control_room")


if __name__ == "__main__":
    sys.exit(main())
