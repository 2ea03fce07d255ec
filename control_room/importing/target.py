"""The logs that imported records go to: each record once, however often its file is imported."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TypeAlias

from control_room.importing.reading import ImportedRecord, Reading
from control_room.logs.day_parts import day_parts
from control_room.recording.daily_log import DailyLog
from control_room.recording.encoding import iso_timestamp
from control_room.recording.records import MetricPoint, PreviewRecord, parse_line, to_json_line
from control_room.rundir import LogKind, RunDir

_Identity: TypeAlias = tuple[object, ...]
_LISTINGS = 5


class Target:
    """One run's preview and metric logs. Methods raise ``OSError`` when they cannot be written."""

    def __init__(self, run: RunDir) -> None:
        self._run_id = run.path.resolve().name
        self._previews = _Log(run, "preview", PreviewRecord)
        self._points = _Log(run, "metrics", MetricPoint)

    def add(self, reading: Reading) -> tuple[int, int]:
        """Append what is new; return how many records were, and how many were not."""
        added = 0
        for record in reading.records:
            log = self._previews if isinstance(record, PreviewRecord) else self._points
            added += log.add(record, self._run_id, has_time=reading.has_times)
        return added, len(reading.records) - added

    def close(self) -> None:
        """Close the files."""
        self._previews.close()
        self._points.close()


class _Log:
    def __init__(
        self, run: RunDir, kind: LogKind, record_class: type[PreviewRecord | MetricPoint]
    ) -> None:
        self._run, self._kind, self._class = run, kind, record_class
        self._log = DailyLog(lambda day: run.log_file(kind, day), fsync=False, inside=run.inside)
        self._days: dict[date, set[_Identity]] = {}
        self._timeless: set[_Identity] | None = None

    def add(self, record: ImportedRecord, run_id: str, *, has_time: bool) -> bool:
        assert record.ts is not None
        day = record.ts.astimezone().date()
        known = self._known(day, has_time=has_time)
        identity = _identity(record, with_time=has_time)
        if identity in known:
            return False
        self._log.append(to_json_line(record, run_id=run_id, now=""), day)
        known.add(identity)
        return True

    def close(self) -> None:
        self._log.close()

    def _known(self, day: date, *, has_time: bool) -> set[_Identity]:
        """What is in the log: of that day, or of all days where the time tells nothing."""
        if has_time:
            if day not in self._days:
                self._days[day] = self._identities([day], True)
            return self._days[day]
        if self._timeless is None:
            self._timeless = self._identities(None, False)
        return self._timeless

    def _identities(self, days: Iterable[date] | None, with_time: bool) -> set[_Identity]:
        for _ in range(_LISTINGS):
            try:
                return self._identities_now(days, with_time)
            except FileNotFoundError:
                continue  # packed since it was listed
        return self._identities_now(days, with_time)

    def _identities_now(self, days: Iterable[date] | None, with_time: bool) -> set[_Identity]:
        found = set()
        for part in day_parts(self._run, self._kind, days):
            for line in part.lines():
                try:
                    record = parse_line(self._class, line)
                except ValueError:
                    continue  # a line that cannot be read is no record
                found.add(_identity(record, with_time=with_time))
        return found


def _identity(record: ImportedRecord, *, with_time: bool) -> _Identity:
    ts = iso_timestamp(record.ts) if with_time and record.ts is not None else None
    if isinstance(record, PreviewRecord):
        example = (record.dataset_id, record.example_id, record.sample_index or 0)
        return ts, record.step, *example, record.prompt
    return ts, record.step
