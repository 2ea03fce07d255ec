"""``python -m app``: serve the pages, or check what is configured; see ``app/start.py``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from control_room.commands.ending import ended
from control_room.extra import load_extra


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    return ended(lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    # Only now: Ctrl-C while it is loaded, or a package that is missing, ends with a line too.
    status: int = load_extra("app.start", extra="app").main(argv)
    return status


if __name__ == "__main__":
    sys.exit(main())
