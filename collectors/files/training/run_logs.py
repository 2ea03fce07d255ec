"""What is new in a run's logs of metrics, throughput and what was refused, and whether its preview
log grows.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from collectors.files.record_tail import log_tail
from collectors.files.training.refused import LAST_LINES as LAST_REFUSED
from control_room.recording.records import MetricPoint, ThroughputSample
from control_room.recording.refusals import RefusedRecord
from control_room.rundir import RunDir

LAST_LINES = 5000  # of each log that the first look goes back


@dataclass(frozen=True, slots=True)
class LogNews:
    """What one look found. Records are in the order of their lines."""

    points: Sequence[MetricPoint]
    samples: Sequence[ThroughputSample]
    refused: Sequence[RefusedRecord]
    wrote_at: float | None  # epoch seconds of the newest sign of writing; None when there is none
    was_cut: bool  # there are earlier points that were not looked at
    was_replaced: bool  # the points are no continuation of those before
    problems: tuple[str, ...]


class RunLogs:
    """Follows the daily logs of one run."""

    def __init__(self, run: RunDir, *, last_lines: int = LAST_LINES) -> None:
        self._run = run
        self._last_lines = last_lines
        self._metrics = log_tail(run, "metrics", MetricPoint, last_lines)
        self._throughput = log_tail(run, "throughput", ThroughputSample, last_lines)
        self._refused = log_tail(run, "refused", RefusedRecord, LAST_REFUSED)
        self._preview_mtime: float | None = None
        self._is_first = True

    def look(self, now: float) -> LogNews:
        """Read what was appended since the last look. ``now`` is in epoch seconds."""
        points, replaced = self._metrics.read()
        samples, _ = self._throughput.read()
        refused, _ = self._refused.read()
        was_cut = self._is_first and len(points) >= self._last_lines
        self._is_first = False
        signs = [
            min(now, record.ts.timestamp())
            for records in (points, samples, refused)
            for record in records[-1:]
            if record.ts is not None
        ]
        signs += self._preview_growth(now)
        return LogNews(
            points=points,
            samples=samples,
            refused=refused,
            wrote_at=max(signs, default=None),
            was_cut=was_cut,
            was_replaced=replaced,
            problems=(
                *self._metrics.problems(),
                *self._throughput.problems(),
                *self._refused.problems(),
            ),
        )

    def _preview_growth(self, now: float) -> list[float]:
        today = date(*time.localtime(now)[:3])
        try:
            mtime = self._run.log_file("preview", today).stat().st_mtime
        except OSError:
            return []  # the previews' own reader tells what is wrong with their log
        before, self._preview_mtime = self._preview_mtime, mtime
        return [] if mtime == before else [mtime]
