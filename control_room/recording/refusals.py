"""What a Recorder refuses: counted, kept as lines of a log of their own, and told once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from datetime import datetime
from pathlib import Path
from time import monotonic

from control_room.recording.fields import BadField
from control_room.recording.records import Record, fields_to_json_line
from control_room.recording.safe_repr import as_json, as_text, type_name

# A loop that is wrong each step must fill neither the disk nor the terminal.
MOST_BYTES_A_DAY = 8 * 2**20  # of whole records, by all processes of a run
MOST_WARNINGS = 100  # of one recorder
_BRIEF_EVERY_S = 60.0  # beyond that, a line that only counts
_LONGEST_REASON = 500
_LONGEST_FIELD = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRecord(Record):
    """A record that was not logged, or a field that is not in the status, and why.

    ``kind`` is that of the log it was for, or "status". ``fields`` is what was given, as far as
    JSON can hold it; None once the day's log is full. ``left_out`` counts those refused before it
    that have no line.
    """

    ts: datetime | None = None
    kind: str
    field: str | None = None  # None where it is no single one
    reason: str
    left_out: int | None = None
    run_id: str | None = None
    fields: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Which field of which kind of record was wrong, and what was wrong with it."""

    kind: str
    field: str | None
    reason: str

    @classmethod
    def of(cls, kind: str, error: Exception) -> Refusal:
        """What an error says. Never raises, whatever the error is."""
        field = error.field if isinstance(error, BadField) else None
        reason = as_text(error).rstrip(".")
        if not isinstance(error, ValueError):
            reason = f"{type_name(error)}: {reason}"
        return cls(kind, (field or "")[:_LONGEST_FIELD] or None, reason[:_LONGEST_REASON])


class Refusals:
    """One recorder's. Not safe for threads: its owner holds a lock."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}  # by kind
        self._newest: tuple[Refusal, str] | None = None
        self._known: set[tuple[str, str | None]] = set()  # kinds and fields that were warned of
        self._left_out = 0
        self._brief_at = 0.0

    def add(self, refusal: Refusal, now: str) -> None:
        """Count it."""
        self.counts[refusal.kind] = self.counts.get(refusal.kind, 0) + 1
        self._newest = (refusal, now)

    def warning(self, refusal: Refusal, log: Path) -> str | None:
        """What to warn of: the first of its kind and field alone, and not of ever new fields."""
        key = (refusal.kind, refusal.field)
        if key in self._known or len(self._known) >= MOST_WARNINGS:
            return None
        self._known.add(key)
        what = "A field of the status" if refusal.kind == "status" else f"A record ({refusal.kind})"
        after = "later ones like it are kept and counted without a warning"
        if len(self._known) == MOST_WARNINGS:
            after = f"no more fields are warned of after these {MOST_WARNINGS}"
        return (
            f"{what} was refused: {refusal.reason}. Training goes on; it is kept in {log.parent}, "
            f"and {after}. Recorder(..., strict=True) raises instead."
        )

    def line(
        self, refusal: Refusal, fields: Mapping[str, object], *, run_id: str, now: str, log: Path
    ) -> bytes | None:
        """The line for ``log``, the file of the day; None when that is full and nothing is due."""
        told: dict[str, object] = {
            "kind": refusal.kind,
            "field": refusal.field,
            "reason": refusal.reason,
        }
        if _size(log) < MOST_BYTES_A_DAY:
            told["fields"] = _kept(fields)
        elif monotonic() - self._brief_at < _BRIEF_EVERY_S:
            self._left_out += 1
            return None
        else:
            self._brief_at = monotonic()
        left_out, self._left_out = self._left_out, 0
        told["left_out"] = left_out or None
        line = fields_to_json_line(RefusedRecord, told, run_id=run_id, now=now)
        # A reader takes this for the start of a line that stands behind a torn one.
        return line[:1] + line[1:].replace(b'{"ts":"', b'{ "ts":"')

    def told(self) -> dict[str, object]:
        """For the status file; empty while nothing was refused."""
        if self._newest is None:
            return {}
        refusal, at = self._newest
        return {"counts": dict(self.counts), "reason": refusal.reason, "ts": at}

    def forget(self) -> None:
        """Begin to count anew, as in a child that was forked: the counts are its parent's."""
        self.counts, self._newest, self._left_out = {}, None, 0


def fields_of(record: object) -> dict[str, object]:
    """What a record holds that was given to the wrong method; empty for None."""
    record_class = type(record)
    if record is None:
        return {}
    if not issubclass(record_class, Record):  # isinstance() asks the object, which may be broken
        return {"record": record}
    values = {
        field.name: getattr(record, field.name, None) for field in dataclass_fields(record_class)
    }
    return {name: value for name, value in values.items() if value is not None}


def _kept(fields: Mapping[str, object]) -> dict[str, object]:
    try:
        return as_json(fields)
    except Exception as error:  # noqa: BLE001  # the reason alone is worth a line, too
        return {"...": f"they could not be kept: {type_name(error)}"}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
