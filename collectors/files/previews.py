"""The preview log, followed as it grows: the newest answers and how the last ones went.

The answers that the daemon trainer logs are previews, too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from collectors.files.record_tail import inference_tail, log_tail
from control_room.logs.patterns import PatternRules
from control_room.logs.recent import RecentPreviews, RecentSummary
from control_room.recording.records import PreviewRecord
from control_room.rundir import RunDir

# A margin over the newest 100 that are shown, for previews that were not scored and bad lines.
_FIRST_LOOK_LINES = 500


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
        self._tails = (
            log_tail(self._run, "preview", PreviewRecord, _FIRST_LOOK_LINES),
            inference_tail(self._run, _FIRST_LOOK_LINES),
        )
        self._recent = RecentPreviews(self._rules)
        self._summary = self._recent.summary()

    def read(self) -> PreviewsReading:
        """Take in what was appended since the last read."""
        while True:
            news = [tail.read() for tail in self._tails]
            if any(replaced for _, replaced in news):
                # What was read from a file that has been replaced is no longer true.
                self._begin()
                continue
            for records, _ in news:
                self._take(records)
            if not any(tail.more for tail in self._tails):
                problems = chain.from_iterable(tail.problems() for tail in self._tails)
                return PreviewsReading(self._summary, tuple(problems))

    def _take(self, records: Sequence[PreviewRecord]) -> None:
        if records:
            self._recent.add(records, time.time())
            self._summary = self._recent.summary()
