"""``python -m control_room score``: a preview log scored anew, without asking the model again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from control_room.atomic import whole_file
from control_room.judging.contracts import DEFAULT_CONTRACTS, Contracts
from control_room.judging.scorers import Scorer, score_with
from control_room.judging.scoring import score
from control_room.logs.day_parts import lines_of
from control_room.recording.records import PreviewRecord, parse_line, to_json_line

ScorerOf = Callable[[str | None], Scorer | None]  # of a dataset


@dataclass
class Rescored:
    """What scoring anew came to."""

    previews: int = 0
    unscored: int = 0  # without an answer: they stay as they are
    unreadable: int = 0  # copied as they are
    right_before: int = 0
    right_after: int = 0
    changed: Counter[tuple[bool | None, bool | None]] = field(default_factory=Counter)


def rescore(
    source: Path,
    target: Path,
    scorer_of: ScorerOf = lambda dataset: None,
    contracts: Contracts = DEFAULT_CONTRACTS,
) -> Rescored:
    """Write the previews of ``source`` (a log, also gzipped or Parquet) to ``target``, scored anew.

    ``target`` appears whole or not at all. Raises ``OSError``, and ``FileExistsError`` where it
    is there already: logs are never written over.
    """
    if target.exists():
        raise FileExistsError(f"{target} is there already; name another with --output")
    found = Rescored()
    with whole_file(target) as out:
        for line in lines_of(source):
            out.write(_rescored(line, scorer_of, contracts, found))
    return found


def _rescored(line: bytes, scorer_of: ScorerOf, contracts: Contracts, found: Rescored) -> bytes:
    try:
        record = parse_line(PreviewRecord, line)
    except ValueError:
        found.unreadable += bool(line.strip())
        return line if line.endswith(b"\n") else line + b"\n"
    found.previews += 1
    if record.error is not None:
        found.unscored += 1
        return line
    scorer = scorer_of(record.dataset_id)
    cut = record.finish_reason == "length" or record.failure_mode == "truncated"
    new = (score if scorer is None else partial(score_with, scorer))(
        record.golden,
        record.model_answer,
        record.regime,
        hit_token_limit=cut,
        server_failed=record.finish_reason == "error",
        contracts=contracts,
    )
    found.right_before += record.exact_match is True
    found.right_after += new.exact_match is True
    if record.exact_match != new.exact_match:
        found.changed[record.exact_match, new.exact_match] += 1
    scored = replace(record, **new.fields())
    return to_json_line(scored, run_id=record.run_id or "", now="")
