"""The newest notes on a run."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from collectors.files.record_tail import log_tail
from control_room.recording.records import NoteRecord
from control_room.rundir import RunDir

KEPT = 10  # they are part of the live view, which goes over the wire again and again


@dataclass(frozen=True, slots=True)
class NotesReading:
    """Newest first."""

    notes: tuple[NoteRecord, ...] = ()
    problems: tuple[str, ...] = ()


class NoteWatch:
    """Follows one run's notes. Nothing is ever written. Not safe for threads."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._begin()

    def _begin(self) -> None:
        self._tail = log_tail(self._run, "note", NoteRecord, KEPT)
        self._notes: deque[NoteRecord] = deque(maxlen=KEPT)

    def read(self) -> NotesReading:
        """Take in what was added since the last read."""
        records, replaced = self._tail.read()
        if replaced:
            # What was read from a file that has been replaced is no longer true.
            self._begin()
            records, _ = self._tail.read()
        self._notes.extend(records)
        return NotesReading(tuple(reversed(self._notes)), tuple(self._tail.problems()))
