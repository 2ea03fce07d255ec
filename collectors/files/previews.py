"""The preview log, followed as it grows: the newest answers and how the last ones went.

The answers that the daemon trainer logs are previews, too.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain

from control_room.logs.inference_log import INFERENCE_GLOB, parse_inference_line
from control_room.logs.patterns import PatternRules
from control_room.logs.recent import RecentPreviews, RecentSummary
from control_room.logs.step_limit import StepCheck
from control_room.logs.tail import LogTail, Reject, TailBatch
from control_room.recording.records import PreviewRecord, parse_line
from control_room.rundir import RunDir

# A margin over the newest 100 that are shown, for previews that were not scored and bad lines.
_FIRST_LOOK_LINES = 500
_REJECTS_KEPT = 1_000

_Parse = Callable[[bytes], PreviewRecord]


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
        run = self._run
        # Each with how its lines are read.
        self._tails: tuple[tuple[LogTail, _Parse], ...] = (
            (
                LogTail(
                    run.logs("preview"),
                    run.log_globs("preview"),
                    inside=run.inside,
                    last_lines=_FIRST_LOOK_LINES,
                ),
                partial(parse_line, PreviewRecord),
            ),
            (
                LogTail(
                    run.inference_logs,
                    (INFERENCE_GLOB,),
                    inside=run.inside,
                    last_lines=_FIRST_LOOK_LINES,
                ),
                parse_inference_line,
            ),
        )
        self._steps = StepCheck(run)
        self._recent = RecentPreviews(self._rules)
        self._rejects: deque[Reject] = deque(maxlen=_REJECTS_KEPT)
        self._summary = self._recent.summary()

    def read(self) -> PreviewsReading:
        """Take in what was appended since the last read."""
        while True:
            batches = [(tail.read(), parse) for tail, parse in self._tails]
            if any(batch.restarted for batch, _ in batches):
                # What was read from a file that has been replaced is no longer true.
                self._begin()
                continue
            for batch, parse in batches:
                self._take(batch, parse)
            if not any(batch.more for batch, _ in batches):
                problems = chain.from_iterable(batch.problems for batch, _ in batches)
                return PreviewsReading(self._summary, (*problems, *self._told_rejects()))

    def _take(self, batch: TailBatch, parse: _Parse) -> None:
        records = []
        for line in batch.lines:
            try:
                record = parse(line.data)
                self._steps.check(record.step)
                records.append(record)
            except ValueError as error:
                self._rejects.append(Reject(line.file, line.number, str(error)))
        self._rejects.extend(batch.rejects)
        if records:
            self._recent.add(records, time.time())
            self._summary = self._recent.summary()

    def _told_rejects(self) -> tuple[str, ...]:
        if not self._rejects:
            return ()
        last = self._rejects[-1]
        count = len(self._rejects)
        many = (
            "1 line cannot be read and is"
            if count == 1
            else f"{count} lines cannot be read and are"
        )
        if count == _REJECTS_KEPT:
            many = f"more than {many}"
        return (
            f"{last.file.name}: {many} left out; "
            f"the newest is line {last.line_number}: {last.reason}",
        )
