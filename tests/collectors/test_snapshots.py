"""The retention index: read when it changes, whatever it holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from collectors.snapshots import SnapshotsReading, SnapshotWatch
from control_room import RunDir


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    found = RunDir(tmp_path / "run")
    found.checkpoints.mkdir(parents=True)
    return found


def test_without_an_index_nothing_is_kept(tmp_path: Path) -> None:
    assert SnapshotWatch(RunDir(tmp_path)).read() == SnapshotsReading()


def test_checkpoints_and_snapshots_are_told(run: RunDir) -> None:
    index = {
        "checkpoints": [
            {
                "name": "checkpoint-5",
                "step": 5,
                "created_at": "2026-01-01T12:00:00+01:00",
                "size_bytes": 2**30,
                "metrics": {"em": 0.5, "ce": 1.5, "val_loss": 0.4},
                "protected": True,
            }
        ],
        "snapshots": [{"date": "2026-01-01", "path": "snapshots/a"}],
    }
    run.retention_index_file.write_text(json.dumps(index))
    reading = SnapshotWatch(run).read()
    (checkpoint,), (snapshot,) = reading.checkpoints, reading.snapshots
    assert (checkpoint.name, checkpoint.step, checkpoint.size_gb) == ("checkpoint-5", 5, 1.0)
    assert (checkpoint.em, checkpoint.ce, checkpoint.loss) == (0.5, 1.5, 0.4)
    assert (snapshot.name, snapshot.em, snapshot.size_gb) == ("snapshots/a", None, None)


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        '{"checkpoints": 5, "snapshots": {"a": 1}}',
        '{"checkpoints": [null, 5, "x", []], "snapshots": []}',
    ],
)
def test_an_odd_index_keeps_nothing(run: RunDir, content: str) -> None:
    run.retention_index_file.write_text(content)
    reading = SnapshotWatch(run).read()
    assert (reading.checkpoints, reading.snapshots) == ((), ())


def test_odd_values_are_not_known(run: RunDir) -> None:
    entry = {"step": "5", "created_at": "yesterday", "size_bytes": "big", "metrics": {"em": "NaN"}}
    run.retention_index_file.write_text(json.dumps({"checkpoints": [entry]}))
    (checkpoint,) = SnapshotWatch(run).read().checkpoints
    assert (checkpoint.step, checkpoint.created_at, checkpoint.size_gb) == (None, None, None)
    assert checkpoint.em is None


def test_an_index_that_breaks_keeps_what_was_known_and_says_so(run: RunDir) -> None:
    run.retention_index_file.write_text('{"checkpoints": [{"name": "a"}]}')
    watch = SnapshotWatch(run)
    assert len(watch.read().checkpoints) == 1
    run.retention_index_file.write_text("[]")
    reading = watch.read()
    assert len(reading.checkpoints) == 1
    assert reading.problem is not None and "retention_index.json" in reading.problem
