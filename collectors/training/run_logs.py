"""What is new in a run's metrics and throughput logs, and whether its preview log grows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Generic

from control_room.history.tail import LogTail, Reject
from control_room.records import AnyRecord, MetricPoint, ThroughputSample, parse_line
from control_room.rundir import LogKind, RunDir

LAST_LINES = 5000  # of each log that the first look goes back


@dataclass(frozen=True, slots=True)
class LogNews:
    """What one look found. Records are in the order of their lines."""

    points: Sequence[MetricPoint]
    samples: Sequence[ThroughputSample]
    wrote_at: float | None  # epoch seconds of the newest sign of writing; None when there is none
    was_cut: bool  # there are earlier points that were not looked at
    was_replaced: bool  # the points are no continuation of those before
    problems: tuple[str, ...]


class RunLogs:
    """Follows the daily logs of one run."""

    def __init__(self, run: RunDir, *, last_lines: int = LAST_LINES) -> None:
        self._run = run
        self._last_lines = last_lines
        self._metrics = _RecordTail(run, "metrics", MetricPoint, last_lines)
        self._throughput = _RecordTail(run, "throughput", ThroughputSample, last_lines)
        self._preview_mtime: float | None = None
        self._is_first = True

    def look(self, now: float) -> LogNews:
        """Read what was appended since the last look. ``now`` is in epoch seconds."""
        points, replaced = self._metrics.read()
        samples, _ = self._throughput.read()
        was_cut = self._is_first and len(points) >= self._last_lines
        self._is_first = False
        signs = [
            min(now, record.ts.timestamp())
            for records in (points, samples)
            for record in records[-1:]
            if record.ts is not None
        ]
        signs += self._preview_growth(now)
        return LogNews(
            points=points,
            samples=samples,
            wrote_at=max(signs, default=None),
            was_cut=was_cut,
            was_replaced=replaced,
            problems=(*self._metrics.problems(), *self._throughput.problems()),
        )

    def _preview_growth(self, now: float) -> list[float]:
        today = date(*time.localtime(now)[:3])
        try:
            mtime = self._run.log_file("preview", today).stat().st_mtime
        except OSError:
            return []  # the previews' own reader tells what is wrong with their log
        before, self._preview_mtime = self._preview_mtime, mtime
        return [] if mtime == before else [mtime]


class _RecordTail(Generic[AnyRecord]):
    """One kind of log, line by line; remembers how many lines could not be read."""

    def __init__(
        self, run: RunDir, kind: LogKind, record_class: type[AnyRecord], last_lines: int
    ) -> None:
        self._directory = run.logs(kind)
        self._record_class = record_class
        self._tail = LogTail(self._directory, run.log_glob(kind), last_lines=last_lines)
        self._reject_count = 0
        self._newest_reject: Reject | None = None
        self._problems: tuple[str, ...] = ()

    def read(self) -> tuple[list[AnyRecord], bool]:
        """The new records, and whether a file was replaced by another."""
        batch = self._tail.read()
        records, rejects = [], list(batch.rejects)
        for line in batch.lines:
            try:
                records.append(parse_line(self._record_class, line.data))
            except (ValueError, RecursionError) as error:
                rejects.append(Reject(line.file, line.number, str(error)))
        self._reject_count += len(rejects)
        self._newest_reject = rejects[-1] if rejects else self._newest_reject
        self._problems = batch.problems
        return records, bool(batch.restarted)

    def problems(self) -> list[str]:
        """For a person; names the files."""
        problems = list(self._problems)
        newest = self._newest_reject
        if newest is not None:
            lines = "1 line" if self._reject_count == 1 else f"{self._reject_count} lines"
            problems.append(
                f"{self._directory}: {lines} cannot be read and are left out; the newest: "
                f"{newest.file.name}, line {newest.line_number}: {newest.reason}"
            )
        return problems
