"""``python -m control_room``: what is done to a run directory from the command line."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from control_room.extra import MissingExtra
from control_room.importing import (
    PATTERNS,
    Imported,
    ImportOptions,
    ImportRefused,
    Watch,
    import_files,
)
from control_room.judging.contracts import Contracts, contracts_from
from control_room.judging.scorers import Scorer, scorer_of
from control_room.links_option import may_follow_links
from control_room.logs.rescoring import rescore
from control_room.logs.retention import (
    COMPRESS_AFTER_DAYS,
    DELETE_AFTER_DAYS,
    carry_out,
    left_alone,
    plan,
)
from control_room.rundir import RunDir
from control_room.settings.files import own_files
from control_room.settings.layers import merged

_WATCH_EVERY_S = 2.0


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and do what they ask. Returns the exit status."""
    arguments = _parser().parse_args(argv)
    if arguments.command == "retain":
        return _retain(_run(arguments), arguments)
    if arguments.command == "score":
        return _score(arguments.file, arguments.output, arguments.scorer, arguments.config)
    return _import(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m control_room", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    importing = commands.add_parser(
        "import",
        help="take another system's previews and metrics into a run's logs",
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
    scoring = commands.add_parser(
        "score",
        help="score a preview log anew, without asking the model again",
        description="Write a copy of a preview log in which every answer is scored anew. The log "
        "itself stays as it is.",
    )
    scoring.add_argument("file", type=Path, metavar="FILE", help="*.jsonl, also .gz or .parquet")
    scoring.add_argument(
        "--output", type=Path, metavar="FILE", help="default: FILE with .rescored before .jsonl"
    )
    scoring.add_argument(
        "--scorer",
        action="append",
        default=[],
        metavar="GLOB=NAME",
        help="a scorer for the datasets that match, e.g. 'gsm8k*=numeric'; your own is "
        "module:function",
    )
    scoring.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="a previews.toml with contracts of regimes; default: your own, as the preview runner "
        "finds it",
    )
    retaining = commands.add_parser(
        "retain",
        help="compress old days of a run's logs, and delete the oldest",
        description="Compress the days of a run's logs that are older than a week and delete those "
        "older than a month. At every moment all of a day is there, plain or compressed.",
    )
    retaining.add_argument("--run-dir", required=True, type=Path, metavar="DIR")
    retaining.add_argument(
        "--compress-after-days", type=int, default=COMPRESS_AFTER_DAYS, metavar="N"
    )
    retaining.add_argument("--delete-after-days", type=int, default=DELETE_AFTER_DAYS, metavar="N")
    retaining.add_argument(
        "--parquet", action="store_true", help="compress to Parquet, gzipped days too"
    )
    retaining.add_argument("--keep-all", action="store_true", help="compress, but delete nothing")
    retaining.add_argument("--dry-run", action="store_true", help="only print what would be done")
    may_follow_links(retaining)
    return parser


def _run(arguments: argparse.Namespace) -> RunDir:
    return RunDir(arguments.run_dir, tuple(arguments.follow_links))


def _retain(run: RunDir, arguments: argparse.Namespace) -> int:
    try:
        steps = plan(
            run,
            datetime.now().astimezone().date(),
            compress_after_days=arguments.compress_after_days,
            delete_after_days=None if arguments.keep_all else arguments.delete_after_days,
            form="parquet" if arguments.parquet else "gzip",
        )
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    alone = left_alone(run)
    for problem in alone:
        print(problem, file=sys.stderr)
    if arguments.dry_run:
        for step in steps:
            print(f"would {step}")
        print(f"{len(steps)} files would be changed; nothing was")
        return 0
    freed_bytes = problems = 0
    for step in steps:
        try:
            done = carry_out(step)
        except MissingExtra as error:
            print(error, file=sys.stderr)
            return 1
        freed_bytes += done.freed_bytes
        if done.problem is None:
            print(step)
        else:
            problems += 1
            print(done.problem, file=sys.stderr)
    print(f"{len(steps) - problems} files changed, {freed_bytes / 2**20:.1f} MiB freed")
    return 1 if problems or alone else 0


def _score(source: Path, output: Path | None, scorers: Sequence[str], config: Path | None) -> int:
    stem = source.name.removesuffix(".gz").removesuffix(".parquet").removesuffix(".jsonl")
    target = source.with_name(f"{stem}.rescored.jsonl") if output is None else output
    try:
        chosen = [_named_scorer(each) for each in scorers]
        found = rescore(source, target, partial(_first_match, chosen), _contracts(config, source))
    except (OSError, EOFError, ValueError) as error:
        print(f"nothing was written: {error}", file=sys.stderr)
        return 1
    print(
        f"{found.previews} previews: {found.right_before} were right, {found.right_after} are now"
    )
    for (before, after), count in sorted(found.changed.items(), key=str):
        was = {None: "not scored", True: "right", False: "wrong"}[before]
        now = {None: "errors of the server, and not scored", True: "right", False: "wrong"}[after]
        print(f"  {count} that were {was} are {now}")
    if found.unscored:
        print(f"  {found.unscored} have no answer and stay unscored")
    if found.unreadable:
        print(f"  {found.unreadable} lines cannot be read and were copied as they are")
    print(f"written to {target}")
    return 0


def _first_match(chosen: Sequence[tuple[str, Scorer]], dataset_id: str | None) -> Scorer | None:
    return next((scorer for glob, scorer in chosen if fnmatchcase(dataset_id or "", glob)), None)


def _contracts(config: Path | None, log: Path) -> Contracts:
    """Those of the user's own previews.toml. Raises ``ValueError`` saying what is wrong there."""
    name = RunDir(Path()).previews_file.name
    # No run is named; one that holds such a file is told by its logs.
    own, strangers = own_files(name, config, Path.cwd(), lambda _: log)
    for path in strangers:
        print(f"{path} lies in a run directory: name it with --config to use it", file=sys.stderr)
    told = merged(*({"contracts": file.table.get("contracts", {})} for file in reversed(own)))
    return contracts_from(told.get("contracts", {}))


def _named_scorer(text: str) -> tuple[str, Scorer]:
    glob, equals, name = text.partition("=")
    if not equals:
        raise ValueError(f"--scorer {text}: expected GLOB=NAME")
    return glob, scorer_of(name)


def _import(arguments: argparse.Namespace) -> int:
    run = _run(arguments)
    options = ImportOptions(arguments.run, arguments.golden_column, arguments.right_when)
    try:
        if arguments.watch:
            return _watch(arguments.sources, run, options)
        outcomes = [_told(each) for each in import_files(arguments.sources, run, options)]
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


def _watch(sources: Sequence[Path], run: RunDir, options: ImportOptions) -> int:
    print("Importing what appears there; Ctrl-C ends it.", flush=True)
    watches = [Watch(source, run, options) for source in sources]
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
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


if __name__ == "__main__":
    sys.exit(main())
