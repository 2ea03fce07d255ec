"""The preview log, followed as it grows: the newest answers and how the last ones went."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from control_room.history.patterns import PatternRules
from control_room.history.recent import RecentPreviews, RecentSummary
from control_room.history.tail import LogTail, Reject, TailBatch
from control_room.records import PreviewRecord, parse_line
from control_room.rundir import RunDir
from control_room.step_limit import StepLimit, check_step

# A margin over the newest 100 that are shown, for previews that were not scored and bad lines.
_FIRST_LOOK_LINES = 500
_REJECTS_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class PreviewsReading:
    """The newest previews in numbers, and what of the log could not be read."""

    summary: RecentSummary
    problems: tuple[str, ...] = ()


class PreviewWatch:
    """Follows one run's preview log; ``rules`` name the patterns that records leave open.

    Nothing is ever written. Not safe for threads.
    """

    def __init__(self, run: RunDir, rules: PatternRules) -> None:
        self._run = run
        self._rules = rules
        self._begin()

    def _begin(self) -> None:
        self._tail = LogTail(
            self._run.logs("preview"),
            self._run.log_globs("preview"),
            last_lines=_FIRST_LOOK_LINES,
        )
        self._step_limit = StepLimit(self._run)
        self._recent = RecentPreviews(self._rules)
        self._rejects: deque[Reject] = deque(maxlen=_REJECTS_KEPT)
        self._summary = self._recent.summary()

    def read(self) -> PreviewsReading:
        """Take in what was appended since the last read."""
        while True:
            batch = self._tail.read()
            if batch.restarted:
                # What was read from a file that has been replaced is no longer true.
                self._begin()
                continue
            self._take(batch)
            if not batch.more:
                return PreviewsReading(self._summary, (*batch.problems, *self._told_rejects()))

    def _take(self, batch: TailBatch) -> None:
        records, max_step = [], self._step_limit.look()
        for line in batch.lines:
            try:
                record = parse_line(PreviewRecord, line.data)
                check_step(record.step, max_step)
                records.append(record)
            except ValueError as error:
                self._rejects.append(Reject(line.file, line.number, str(error)))
        self._rejects.extend(batch.rejects)
        if records:
            self._recent.add(records)
            self._summary = self._recent.summary()

    def _told_rejects(self) -> tuple[str, ...]:
        if not self._rejects:
            return ()
        last = self._rejects[-1]
        count = len(self._rejects)
        many = f"{count} line{'s' if count > 1 else ''}"
        if count == _REJECTS_KEPT:
            many = f"more than {many}"
        return (
            f"{last.file.name}: {many} cannot be read and are left out; "
            f"the newest is line {last.line_number}: {last.reason}",
        )
