"""Adds a note to a run from outside its trainer."""

from __future__ import annotations

from datetime import datetime

from control_room.recording.daily_log import DailyLog
from control_room.recording.encoding import iso_timestamp
from control_room.recording.records import NoteRecord, fields_to_json_line
from control_room.rundir import RunDir


def add_note(run: RunDir, text: str, *, step: int | None = None) -> None:
    """Append it to the run's notes, beside what the trainer appends there.

    Raises ``ValueError`` for an empty text, ``OSError`` when it cannot be written.
    """
    now = datetime.now().astimezone()
    line = fields_to_json_line(
        NoteRecord,
        {"text": text.strip(), "step": step},
        run_id=run.path.resolve().name,
        now=iso_timestamp(now),
    )
    log = DailyLog(lambda day: run.log_file("note", day), fsync=False, inside=run.inside)
    try:
        log.append(line, now.date())
    finally:
        log.close()
