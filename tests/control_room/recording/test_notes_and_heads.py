"""Notes, attention heads and the configuration, as the Recorder writes them and others add them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from control_room import HeadRecord, NoteRecord, Recorder, RunDir
from control_room.recording.notes import add_note
from control_room.recording.records import AnyRecord, parse_line
from control_room.rundir import LogKind


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "run")


def records(run: RunDir, kind: LogKind, record: type[AnyRecord]) -> list[AnyRecord]:
    (log,) = run.logs(kind).iterdir()
    return [parse_line(record, line) for line in log.read_bytes().splitlines()]


def test_notes_of_the_trainer_and_of_others_share_a_log(run: RunDir) -> None:
    with Recorder(run.path) as recorder:
        recorder.note("switched data", step=5)
        add_note(run, "  lowered lr  ", step=7)
        recorder.note("without a step")
    told = [(note.text, note.step) for note in records(run, "note", NoteRecord)]
    assert told == [("switched data", 5), ("lowered lr", 7), ("without a step", None)]
    assert {note.run_id for note in records(run, "note", NoteRecord)} == {"run"}


def test_an_empty_note_is_refused(run: RunDir) -> None:
    with pytest.raises(ValueError, match="text"):
        add_note(run, "   ")


def test_a_note_that_cannot_be_written_says_so(run: RunDir) -> None:
    run.path.mkdir()
    (run.path / "logs").write_text("in the way")
    with pytest.raises(OSError):
        add_note(run, "lost")


@pytest.mark.parametrize("make", [list, np.array])
def test_arrays_of_heads_are_laid_out_layer_by_layer(run: RunDir, make: Any) -> None:
    with Recorder(run.path) as recorder:
        recorder.log_heads(step=3, attention_entropy=make([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    (record,) = records(run, "heads", HeadRecord)
    assert (record.layers, record.heads, record.grad_norm) == (2, 3, None)
    assert list(record.attention_entropy or ()) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({}, "at least one"),
        ({"grad_norm": [1.0, 2.0]}, "grad_norm: expected layers x heads"),
        ({"grad_norm": [[1.0], [1.0, 2.0]]}, "rows"),
        ({"grad_norm": [[1.0]], "weight_norm": [[1.0, 2.0]]}, "weight_norm: is 1 x 2"),
        ({"entropy": [[1.0]]}, "entropy"),
        ({"grad_norm": [["a"]]}, "grad_norm"),
    ],
)
def test_arrays_that_are_none_are_refused(run: RunDir, arrays: dict[str, Any], said: str) -> None:
    with Recorder(run.path, strict=True) as recorder, pytest.raises(ValueError, match=said):
        recorder.log_heads(step=1, **arrays)


def test_the_configuration_stands_in_the_status(run: RunDir) -> None:
    with Recorder(run.path) as recorder:
        recorder.log_config({"lr": 0.1, "data": Path("a.jsonl"), "layers": 2, "bf16": True})
    told = json.loads(run.status_file.read_text())["config"]
    assert told == {"lr": 0.1, "data": "a.jsonl", "layers": 2, "bf16": True}
