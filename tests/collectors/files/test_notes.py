"""Notes, followed as they are added."""

from __future__ import annotations

from pathlib import Path

from collectors.files.notes import KEPT, NoteWatch
from control_room import Recorder, RunDir
from control_room.recording.notes import add_note


def test_the_newest_come_first_and_old_ones_are_let_go(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    watch = NoteWatch(run)
    assert watch.read().notes == ()
    with Recorder(run.path) as recorder:
        for number in range(KEPT + 5):
            recorder.note(f"note {number}", step=number)
    assert [note.step for note in watch.read().notes] == list(range(KEPT + 4, 4, -1))
    add_note(run, "one more")
    assert watch.read().notes[0].text == "one more"


def test_a_torn_line_is_told_and_hides_no_other(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    add_note(run, "good")
    (log,) = run.logs("note").iterdir()
    log.write_bytes(log.read_bytes() + b"{\n")
    reading = NoteWatch(run).read()
    assert [note.text for note in reading.notes] == ["good"]
    assert "line 2" in reading.problems[0]


def test_a_replaced_file_is_read_anew(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    watch = NoteWatch(run)
    add_note(run, "old")
    watch.read()
    (log,) = run.logs("note").iterdir()
    log.unlink()
    add_note(run, "new, and longer")
    assert [note.text for note in watch.read().notes] == ["new, and longer"]
