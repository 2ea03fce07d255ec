"""``control-room retain``: old days of a run's logs compressed, and the oldest deleted."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from control_room.commands.options import may_follow_links, run_of
from control_room.extra import MissingExtra
from control_room.logs.retention import (
    COMPRESS_AFTER_DAYS,
    DELETE_AFTER_DAYS,
    carry_out,
    left_alone,
    plan,
)


def main(argv: Sequence[str], *, prog: str) -> int:
    """Returns the exit status: 1 where something was left undone, 2 where arguments are wrong."""
    arguments = _parser(prog).parse_args(argv)
    run = run_of(arguments)
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
    if not run.path.is_dir():
        print(f"{run.path}: there is no such directory", file=sys.stderr)
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


def _parser(prog: str) -> argparse.ArgumentParser:
    retaining = argparse.ArgumentParser(
        prog=prog,
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
    return retaining
