"""The retention index: read when it changes, whatever it holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from collectors.files.snapshots import SnapshotsReading, SnapshotWatch
from control_room import RunDir
from tests.support import SHARED


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
    assert (snapshot.name, snapshot.em, snapshot.size_gb) == ("a", None, None)


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


# In the output directory, as the daemon trainer leaves it

OF_MANAGER = {
    "checkpoints": [
        {
            "path": f"checkpoints/checkpoint-{step}",
            "step": step,
            "created_at": f"2026-11-24T19:18:{step // 100:02d}.176767",
            "size_bytes": 404_098,
            "metrics": {"loss": loss, "eval_loss": loss + 0.1},
            "protected": False,
        }
        for step, loss in ((1000, 0.6), (1500, 0.4), (2000, 0.45))
    ],
    "snapshots": [
        {
            "path": "snapshots/2026-11-24",
            "date": "2026-11-24",
            "created_at": "2026-11-24T19:18:27.187377",
            "source_checkpoint": "checkpoints/checkpoint-1500",
            "source_step": 1500,
            "source_metrics": {"loss": 0.4, "eval_loss": 0.5, "em": 0.7},
        }
    ],
    "latest_checkpoint": "checkpoints/checkpoint-2000",
    "best_checkpoint": {
        "path": "checkpoints/checkpoint-1500",
        "metric": "eval_loss",
        "value": 0.5,
    },
}


def test_an_index_in_the_output_directory_is_found(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    (tmp_path / "retention_index.json").write_text(json.dumps(OF_MANAGER))
    reading = SnapshotWatch(run).read()
    assert [each.name for each in reading.checkpoints] == [
        "checkpoint-1000",
        "checkpoint-1500",
        "checkpoint-2000",
    ]
    assert [each.loss for each in reading.checkpoints] == [0.7, 0.5, 0.55]
    assert reading.best == "checkpoint-1500"
    (snapshot,) = reading.snapshots
    assert (snapshot.name, snapshot.step, snapshot.source) == (
        "2026-11-24",
        1500,
        "checkpoint-1500",
    )
    assert (snapshot.em, snapshot.loss) == (0.7, 0.5)


def test_the_index_beside_the_checkpoints_comes_first(run: RunDir) -> None:
    (run.path / "retention_index.json").write_text(json.dumps(OF_MANAGER))
    run.retention_index_file.write_text('{"checkpoints": [{"name": "a"}]}')
    watch = SnapshotWatch(run)
    assert [each.name for each in watch.read().checkpoints] == ["a"]
    run.retention_index_file.unlink()
    assert len(watch.read().checkpoints) == 3
    (run.path / "retention_index.json").unlink()
    assert watch.read() == SnapshotsReading()


def test_an_index_that_goes_and_comes_back_is_read_again(run: RunDir) -> None:
    (run.path / "retention_index.json").write_text(json.dumps(OF_MANAGER))
    watch = SnapshotWatch(run)
    assert len(watch.read().checkpoints) == 3
    run.retention_index_file.write_text('{"checkpoints": [{"name": "a"}]}')
    assert len(watch.read().checkpoints) == 1
    run.retention_index_file.unlink()
    assert len(watch.read().checkpoints) == 3


@pytest.mark.parametrize("best", [None, "checkpoints/checkpoint-5", {"path": 5}, {}, [1]])
def test_an_odd_best_is_none_or_a_name(run: RunDir, best: object) -> None:
    run.retention_index_file.write_text(json.dumps({"best_checkpoint": best}))
    assert SnapshotWatch(run).read().best == ("checkpoint-5" if isinstance(best, str) else None)


@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="needs ../shared/data")
def test_the_index_of_the_real_retention_manager_is_read() -> None:
    reading = SnapshotWatch(RunDir(SHARED / "data" / "output_dir")).read()
    assert [each.step for each in reading.checkpoints] == [1000, 1500, 2000]
    assert [each.loss for each in reading.checkpoints] == [0.7, 0.6, 0.55]
    assert (reading.best, reading.snapshots[0].step) == ("checkpoint-2000", 2000)
