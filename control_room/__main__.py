"""``python -m control_room``: what is done to a run directory from the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from control_room.importing import ImportRefused, import_files
from control_room.rundir import RunDir


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and do what they ask. Returns the exit status."""
    arguments = _parser().parse_args(argv)
    return _import(arguments.sources, RunDir(arguments.run_dir))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m control_room", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    importing = commands.add_parser(
        "import",
        help="take previews of another system into a run's log",
        description="Take evolution snapshots (step_*.json) and preview rounds "
        "(preview_step_*.json) into a run's preview log. Importing again adds nothing twice.",
    )
    importing.add_argument("sources", nargs="+", type=Path, metavar="FILE_OR_DIRECTORY")
    importing.add_argument("--run-dir", required=True, type=Path, metavar="DIR")
    return parser


def _import(sources: Sequence[Path], run: RunDir) -> int:
    files = added = refused = 0
    try:
        for outcome in import_files(sources, run):
            if isinstance(outcome, ImportRefused):
                refused += 1
                print(outcome, file=sys.stderr)
                continue
            files += 1
            added += outcome.added
            there = f", {outcome.already_there} were there already" if outcome.already_there else ""
            print(f"{outcome.path}: {outcome.added} previews of a {outcome.format}{there}")
    except OSError as error:
        print(f"{run.logs('preview')} cannot be written: {error}", file=sys.stderr)
        return 1
    print(f"{added} previews of {files} files are now in {run.logs('preview')}")
    if not files and not refused:
        print("No *.json file was found there.", file=sys.stderr)
    return 1 if refused or not files else 0


if __name__ == "__main__":
    sys.exit(main())
