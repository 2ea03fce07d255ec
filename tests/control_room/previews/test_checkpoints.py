"""Which checkpoints a run has."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from control_room.previews.checkpoints import Checkpoint, find_checkpoints, step_of
from control_room.rundir import RunDir


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path)


def test_names_in_a_directory_oldest_first(run: RunDir) -> None:
    for name in ("checkpoint-1000", "checkpoint-200", "other-5"):
        (run.checkpoints / name).mkdir(parents=True)
    (run.checkpoints / "checkpoint-50.safetensors").touch()
    assert find_checkpoints(run) == [
        Checkpoint(50, "checkpoint-50"),
        Checkpoint(200, "checkpoint-200"),
        Checkpoint(1000, "checkpoint-1000"),
    ]


def test_the_retention_index_comes_first(run: RunDir) -> None:
    (run.checkpoints / "checkpoint-1").mkdir(parents=True)
    entries = [{"name": "b", "step": 2}, {"path": "a.npz", "step": 1}, {"name": "no step"}]
    run.retention_index_file.write_text(json.dumps({"checkpoints": entries}))
    assert find_checkpoints(run) == [Checkpoint(1, "a.npz"), Checkpoint(2, "b")]
    run.retention_index_file.write_text('{"checkpoints": [')
    assert find_checkpoints(run) == [Checkpoint(1, "checkpoint-1")]


def test_an_index_in_the_output_directory_counts_too(run: RunDir, tmp_path: Path) -> None:
    (run.checkpoints / "checkpoint-1").mkdir(parents=True)
    entry = {"path": "checkpoints/checkpoint-2000", "step": 2000}
    (tmp_path / "retention_index.json").write_text(json.dumps({"checkpoints": [entry]}))
    assert find_checkpoints(run) == [Checkpoint(2000, "checkpoint-2000")]
    assert find_checkpoints(run, directory=run.checkpoints) == find_checkpoints(run)
    run.retention_index_file.write_text('{"checkpoints": [{"name": "b", "step": 2}]}')
    assert find_checkpoints(run) == [Checkpoint(2, "b")]


def test_an_index_above_another_directory_is_none_of_its_business(
    run: RunDir, tmp_path: Path
) -> None:
    (tmp_path / "weights" / "checkpoint-1").mkdir(parents=True)
    entry = {"path": "checkpoints/checkpoint-2000", "step": 2000}
    (tmp_path / "retention_index.json").write_text(json.dumps({"checkpoints": [entry]}))
    found = find_checkpoints(run, directory=tmp_path / "weights")
    assert found == [Checkpoint(1, "checkpoint-1")]


def test_what_is_being_written_is_left_alone(run: RunDir) -> None:
    file = run.checkpoints / "checkpoint-1" / "weights"
    file.parent.mkdir(parents=True)
    file.touch()
    assert find_checkpoints(run, settle_s=30) == []
    for path in (file, file.parent):
        os.utime(path, (time.time() - 60, time.time() - 60))
    assert find_checkpoints(run, settle_s=30) == [Checkpoint(1, "checkpoint-1")]


def test_nothing_there_is_no_checkpoints(run: RunDir) -> None:
    assert find_checkpoints(run) == []
    assert find_checkpoints(run, directory=Path("/no/such")) == []


def test_the_step_is_the_last_number() -> None:
    assert step_of("qwen3-0.6b-step-005000") == 5000
    assert step_of("final") is None
