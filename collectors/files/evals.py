"""The eval log, followed as it grows: the fixed set over time, its domains, the last quick look."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from collectors.files.record_tail import log_tail
from control_room.recording.records import EvalRecord
from control_room.rundir import RunDir

FIXED, MICRO = "fixed", "micro"
_LAST_LINES = 5_000
_FIXED_KEPT = 500


@dataclass(frozen=True, slots=True)
class EvalsReading:
    """The newest evaluations. ``fixed`` are those of the whole fixed set, oldest first."""

    fixed: tuple[EvalRecord, ...] = ()
    domains: Mapping[str, EvalRecord] = field(default_factory=dict)  # the newest of each
    micro: EvalRecord | None = None
    problems: tuple[str, ...] = ()


class EvalWatch:
    """Follows one run's eval log. Nothing is ever written. Not safe for threads."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._begin()

    def _begin(self) -> None:
        self._tail = log_tail(self._run, "eval", EvalRecord, _LAST_LINES)
        self._fixed: deque[EvalRecord] = deque(maxlen=_FIXED_KEPT)
        self._domains: dict[str, EvalRecord] = {}
        self._micro: EvalRecord | None = None

    def read(self) -> EvalsReading:
        """Take in what was appended since the last read."""
        records, replaced = self._tail.read()
        if replaced:
            # What was read from a file that has been replaced is no longer true.
            self._begin()
            records, _ = self._tail.read()
        for record in sorted(records, key=_time):
            self._take(record)
        return EvalsReading(
            tuple(self._fixed), dict(self._domains), self._micro, tuple(self._tail.problems())
        )

    def _take(self, record: EvalRecord) -> None:
        if record.kind == FIXED and record.domain is None:
            self._fixed.append(record)
        elif record.kind == FIXED and record.domain is not None:
            self._domains[record.domain] = record
        elif record.kind == MICRO:
            self._micro = record


def _time(record: EvalRecord) -> datetime:
    assert record.ts is not None  # a record that was read has one
    return record.ts
