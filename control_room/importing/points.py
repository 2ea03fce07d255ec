"""Metric points out of named values that arrive one by one or row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from control_room.recording.metric_names import known_metrics
from control_room.recording.records import MetricPoint


class Points:
    """Gathers the values of each step into one metric point, and counts what it cannot take."""

    def __init__(self) -> None:
        self._values: dict[int, dict[str, float]] = {}
        self._times: dict[int, datetime] = {}
        self.left_out: Counter[str] = Counter()

    def add(self, step: int, ts: datetime, values: Mapping[str, object]) -> None:
        """Take in values of one step; a name that was there already is replaced."""
        taken = {name: known_metrics({name: value}) for name, value in values.items()}
        for name, known in taken.items():
            if known:
                self._values.setdefault(step, {}).update(known)
                self._times.setdefault(step, ts)
            else:
                self.left_out[name] += 1

    def records(self) -> list[MetricPoint]:
        """In the order of their steps."""
        return [
            MetricPoint(ts=self._times[step], step=step, **values)  # type: ignore[arg-type]  # checked by the record
            for step, values in sorted(self._values.items())
        ]
