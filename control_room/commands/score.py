"""``control-room score``: a preview log scored anew, without asking the model again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from control_room.judging.contracts import Contracts, contracts_from
from control_room.judging.scorers import Scorer, scorer_of
from control_room.logs.rescoring import rescore
from control_room.rundir import RunDir
from control_room.settings.files import own_files
from control_room.settings.layers import merged


def main(argv: Sequence[str], *, prog: str) -> int:
    """Returns the exit status: 1 where nothing was written."""
    arguments = _parser(prog).parse_args(argv)
    return _score(arguments.file, arguments.output, arguments.scorer, arguments.config)


def _parser(prog: str) -> argparse.ArgumentParser:
    scoring = argparse.ArgumentParser(
        prog=prog,
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
    return scoring


def _score(source: Path, output: Path | None, scorers: Sequence[str], config: Path | None) -> int:
    stem = source.name.removesuffix(".gz").removesuffix(".parquet").removesuffix(".jsonl")
    target = source.with_name(f"{stem}.rescored.jsonl") if output is None else output
    if not source.exists():
        print(f"{source}: there is no such file", file=sys.stderr)
        return 1
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
    # No run is named; one that holds such a file is recognised by its logs.
    own, strangers = own_files(name, config, Path.cwd(), lambda _: log)
    for path in strangers:
        print(f"{path} lies in a run directory: name it with --config to use it", file=sys.stderr)
    settings = merged(*({"contracts": file.table.get("contracts", {})} for file in reversed(own)))
    return contracts_from(settings.get("contracts", {}))


def _named_scorer(text: str) -> tuple[str, Scorer]:
    glob, equals, name = text.partition("=")
    if not equals:
        raise ValueError(f"--scorer {text}: expected GLOB=NAME")
    return glob, scorer_of(name)
