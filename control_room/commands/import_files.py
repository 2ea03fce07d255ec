"""``control-room import``: another system's files into a run's logs."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from control_room.commands.options import may_follow_links, run_of
from control_room.extra import MissingExtra
from control_room.importing import (
    PATTERNS,
    Imported,
    ImportOptions,
    ImportRefused,
    Watch,
    import_files,
)
from control_room.rundir import RunDir

_WATCH_EVERY_S = 2.0


def main(argv: Sequence[str], *, prog: str) -> int:
    """Returns the exit status: 1 where a file was refused or could not be written."""
    arguments = _parser(prog).parse_args(argv)
    run = run_of(arguments)
    options = ImportOptions(arguments.run, arguments.golden_column, arguments.right_when)
    try:
        if arguments.watch:
            return _watch(arguments.sources, run, options)
        outcomes = [_told(each) for each in import_files(arguments.sources, run, options)]
    except BrokenPipeError:
        raise  # of whoever reads what is printed
    except OSError as error:
        print(f"{run.path} cannot be written: {error}", file=sys.stderr)
        return 1
    except MissingExtra as error:
        print(error, file=sys.stderr)
        return 1
    imported = [each for each in outcomes if isinstance(each, Imported)]
    added = sum(each.added for each in imported)
    print(f"{added} records of {len(imported)} files are now in {run.path / 'logs'}")
    if not outcomes:
        print(f"No file of a known name was found there: {', '.join(PATTERNS)}.", file=sys.stderr)
    return 1 if len(imported) < len(outcomes) or not outcomes else 0


def _parser(prog: str) -> argparse.ArgumentParser:
    importing = argparse.ArgumentParser(
        prog=prog,
        description="Take files of other systems into a run's logs. Importing again adds nothing "
        f"twice. In a directory these are looked for: {', '.join(PATTERNS)}.",
    )
    importing.add_argument("sources", nargs="+", type=Path, metavar="FILE_OR_DIRECTORY")
    importing.add_argument("--run-dir", required=True, type=Path, metavar="DIR")
    importing.add_argument("--run", metavar="NAME", help="which run, of a file that holds several")
    importing.add_argument(
        "--golden-column", metavar="NAME", help="column of TRL completions with the golden answer"
    )
    importing.add_argument(
        "--right-when",
        type=_threshold,
        metavar="REWARD>=X",
        help="which TRL completions are right, e.g. 'accuracy_reward>=1'",
    )
    importing.add_argument(
        "--watch", action="store_true", help="keep importing what appears there, until Ctrl-C"
    )
    may_follow_links(importing)
    return importing


def _watch(sources: Sequence[Path], run: RunDir, options: ImportOptions) -> int:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    print("Importing what appears there; Ctrl-C ends it.", flush=True)
    watches = [Watch(source, run, options) for source in sources]
    try:
        while not stopped.is_set():
            for watch in watches:
                for outcome in watch.look():
                    _told(outcome)
            stopped.wait(_WATCH_EVERY_S)
        return 0
    finally:
        for watch in watches:
            watch.close()


def _told(outcome: Imported | ImportRefused) -> Imported | ImportRefused:
    if isinstance(outcome, ImportRefused):
        print(outcome, file=sys.stderr, flush=True)
        return outcome
    there = f", {outcome.already_there} were there already" if outcome.already_there else ""
    print(f"{outcome.path} ({outcome.format}): {outcome.added} records{there}", flush=True)
    if outcome.left_out:
        left = ", ".join(f"{name} ({count})" for name, count in sorted(outcome.left_out.items()))
        print(f"  left out: {left}", flush=True)
    return outcome


def _threshold(text: str) -> tuple[str, float]:
    name, sign, least = text.partition(">=")
    if not sign or not name.strip():
        raise argparse.ArgumentTypeError(f"{text}: expected REWARD>=X")
    return name.strip(), float(least)
