"""What the run's own logs say of earlier answers and rounds: the runner keeps no other memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from control_room.logs.archive import PACKED
from control_room.logs.day_parts import day_files, day_parts
from control_room.recording.records import PreviewRecord, RoundRecord, parse_line
from control_room.rundir import LogKind, RunDir

_RECENT_BYTES = 8 * 2**20  # of the newest answers, for the pool of failures

AnswerKey = tuple[str, int]  # example_id and sample_index


@dataclass(slots=True)
class Tally:
    """What a round has brought so far."""

    done: set[AnswerKey] = field(default_factory=set)  # by an earlier process
    answered: int = 0
    errors: int = 0
    correct: int = 0
    prompt_tokens: int = 0
    model_tokens: int = 0
    scored: int = 0  # right or wrong, not missing
    ces: int = 0
    ce_sum: float = 0.0
    last_error: str | None = None

    def add(self, record: PreviewRecord) -> None:
        """Count one answer in."""
        self.answered += 1
        self.errors += record.error is not None
        self.last_error = record.error or self.last_error
        self.scored += record.exact_match is not None
        self.correct += record.exact_match is True
        self.prompt_tokens += record.prompt_tokens or 0
        self.model_tokens += record.model_tokens or 0
        if record.ce is not None:
            self.ces += 1
            self.ce_sum += record.ce

    @property
    def tokens(self) -> int:
        """Asked and answered."""
        return self.prompt_tokens + self.model_tokens

    @property
    def nothing(self) -> str | None:
        """Why the model answered nothing at all, where that is so."""
        if not self.errors or self.errors < self.answered:
            return None
        return f"none of the {self.errors:,} questions was answered; the last: {self.last_error}"


def tally(run: RunDir, round_id: str) -> Tally:
    """What the logs hold of a round: what was answered before is not asked again."""
    found = Tally()
    marker = json.dumps(round_id, ensure_ascii=False).encode(errors="replace")
    for file in _days(run, "preview"):
        with run.inside.open(file) as lines:
            for line in lines:
                record = _preview(line) if marker in line else None
                if record is None or record.round_id != round_id or record.example_id is None:
                    continue
                key = (record.example_id, record.sample_index or 0)
                if key not in found.done:
                    found.done.add(key)
                    found.add(record)
    return found


def ended_rounds(run: RunDir) -> dict[str, RoundRecord]:
    """The newest record of each round that has ended, by its id."""
    found: dict[str, RoundRecord] = {}
    # Packed days too, or a runner that is started again a week later asks everything again.
    for part in day_parts(run, "round"):
        for line in part.lines():
            try:
                record = parse_line(RoundRecord, line)
            except ValueError:
                continue  # torn; the history index names it
            found[record.round_id] = record
    return found


def open_failures(run: RunDir, count: int, *, but_not_of: str = "") -> list[str]:
    """Ids of the examples whose newest answer is wrong, the newest first.

    Answers of the round ``but_not_of`` do not count, so that a round that goes on after a kill asks
    what it set out to ask.
    """
    last: dict[str, bool] = {}
    for record in _newest_previews(run):
        if record.round_id == but_not_of:
            continue
        if record.example_id is not None and record.exact_match is not None:
            last.setdefault(record.example_id, record.exact_match)
    return [example_id for example_id, right in last.items() if not right][:count]


def _newest_previews(run: RunDir) -> Iterator[PreviewRecord]:
    """Newest first, of about the last ``_RECENT_BYTES``."""
    left = _RECENT_BYTES
    for file in reversed(_days(run, "preview")):
        with run.inside.open(file) as lines:
            size = lines.seek(0, 2)
            lines.seek(max(0, size - left))
            if size > left:
                lines.readline()  # the rest of one that began before
            newest = lines.readlines()
        left -= min(size, left)
        yield from filter(None, map(_preview, reversed(newest)))
        if left <= 0:
            return


def _preview(line: bytes) -> PreviewRecord | None:
    if not line.endswith(b"\n"):
        return None  # being written
    try:
        return parse_line(PreviewRecord, line)
    except ValueError:
        return None


def _days(run: RunDir, kind: LogKind) -> list[Path]:
    """The plain files of a log, oldest first: what is packed is older than any round's answers."""
    return sorted(path for path, _ in day_files(run, kind) if path.suffix not in PACKED)
