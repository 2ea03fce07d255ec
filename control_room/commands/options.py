"""``--follow-links``: the option of every command that reads a run directory."""

from __future__ import annotations

import argparse
from pathlib import Path

from control_room.rundir import RunDir


def may_follow_links(parser: argparse.ArgumentParser) -> None:
    """Add it; it is given once for each directory outside that links may lead to."""
    parser.add_argument(
        "--follow-links",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="a directory outside that links in the run directory may lead to",
    )


def run_of(arguments: argparse.Namespace) -> RunDir:
    """The run of ``--run-dir``, with the directories that its links may lead to."""
    return RunDir(arguments.run_dir, tuple(arguments.follow_links))
