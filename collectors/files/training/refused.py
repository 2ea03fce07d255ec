"""What Recorders refused, in words: from what the status file says and from the lines they kept."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from collectors.json_values import WrongTypeError, epoch_seconds, text, whole
from control_room.recording.refusals import RefusedRecord

LAST_LINES = 1000
_LONGEST_KIND = 40
_LONGEST_REASON = 500
_MOST_KINDS = 10  # there are no more, but a file may hold anything
_HOLDS_S = 86_400.0  # where no status says since when the run goes on


@dataclass(frozen=True, slots=True)
class Refused:
    """How many records of each kind, and why the newest; ``at`` in epoch seconds."""

    counts: Mapping[str, int]
    reason: str
    at: float


def refused_of(value: object) -> Refused:
    """What the Recorder of a status file says. Raises :class:`WrongTypeError`."""
    if not isinstance(value, dict) or not isinstance(counts := value.get("counts"), dict):
        raise WrongTypeError("an object with counts, reason and ts")
    return Refused(
        counts={text(kind): whole(count) for kind, count in counts.items()},
        reason=text(value.get("reason")),
        at=epoch_seconds(value.get("ts")),
    )


@dataclass(frozen=True, slots=True)
class _Line:
    at: float  # epoch seconds
    kind: str
    reason: str
    count: int


class RefusedLines:
    """The newest lines of the log of refused records, whoever wrote them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lines: deque[_Line] = deque(maxlen=10 * LAST_LINES)

    def take(self, records: Iterable[RefusedRecord], now: float) -> None:
        """New lines, in their order."""
        for record in records:
            at = now if record.ts is None else min(now, record.ts.timestamp())
            count = 1 + (record.left_out or 0)
            kind, reason = record.kind[:_LONGEST_KIND], record.reason[:_LONGEST_REASON]
            self._lines.append(_Line(at, kind, reason, count))

    def problem(self, now: float, told: Refused | None, started_at: float | None) -> str | None:
        """For a person; None when nothing was refused that still matters.

        ``told`` counts all that the trainer's own Recorder refused; the lines are its own, too, and
        those of other processes. Lines from before ``started_at`` (epoch seconds), when the trainer
        began, are history.
        """
        since = now - _HOLDS_S if started_at is None else started_at
        lines = [line for line in self._lines if line.at >= since]
        counts: Counter[str] = Counter()
        for line in lines:
            counts[line.kind] += line.count
        reason = lines[-1].reason if lines else ""
        if told is not None:
            counts |= Counter(told.counts)  # the larger of both
            if not lines or told.at > lines[-1].at:
                reason = told.reason[:_LONGEST_REASON]
        return self._said(counts, reason) if counts else None

    def _said(self, counts: Counter[str], reason: str) -> str:
        total = counts.total()
        were = "1 record was" if total == 1 else f"{total:,} records were"
        each = ", ".join(f"{count:,} {kind}" for kind, count in counts.most_common(_MOST_KINDS))
        return (
            f"{were} refused ({each}). The newest: {reason}. What is refused is missing from the "
            f"history and kept in {self._directory}: mend the call that logs it, or find it with "
            "Recorder(..., strict=True), which raises there."
        )
