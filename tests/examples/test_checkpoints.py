"""Checkpoints: what is saved comes back, old ones go, and the index says what there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from control_room import RunDir
from examples.checkpoints import KEPT, CheckpointStore
from examples.model import Params
from examples.optimizer import Adam


def weights(value: float) -> Params:
    return {"a": np.full((2, 3), value, np.float32), "b": np.full(4, -value, np.float32)}


def save(store: CheckpointStore, step: int, em: float) -> str:
    params = weights(step)
    optimizer = Adam(params)
    optimizer.step(params, weights(1), 0.0)
    return store.save(step, params, optimizer, {"levels": {"addition": 2}}, {"em": em})


def index_of(run_dir: RunDir) -> dict[str, Any]:
    index: dict[str, Any] = json.loads(run_dir.retention_index_file.read_text())
    return index


def test_weights_optimizer_and_progress_come_back(tmp_path: Path) -> None:
    save(CheckpointStore(RunDir(tmp_path)), 7, 0.5)
    params = weights(0)
    optimizer = Adam(params)
    found = CheckpointStore(RunDir(tmp_path)).load_newest(params, optimizer)
    assert found == ("checkpoint-7", 7, {"levels": {"addition": 2}})
    assert params["a"][0, 0] == 7
    assert optimizer.steps == 1
    assert np.all(optimizer.first["a"] != 0)


def test_without_checkpoints_there_is_nothing_to_load(tmp_path: Path) -> None:
    params = weights(0)
    assert CheckpointStore(RunDir(tmp_path)).load_newest(params, Adam(params)) is None


def test_the_newest_few_and_the_best_are_kept(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    store = CheckpointStore(run_dir)
    for step, em in enumerate([0.1, 0.9, 0.2, 0.3, 0.4, 0.5], start=1):
        save(store, step, em)
    kept = {path.stem for path in run_dir.checkpoints.glob("checkpoint-*.npz")}
    assert kept == {"checkpoint-2", *(f"checkpoint-{step}" for step in range(7 - KEPT, 7))}
    listed = index_of(run_dir)["checkpoints"]
    assert {entry["name"] for entry in listed} == kept
    assert [entry["name"] for entry in listed if entry["protected"]] == ["checkpoint-2"]
    for entry in listed:
        path = run_dir.checkpoints / entry["path"]
        assert path.stat().st_size == entry["size_bytes"]


def test_a_day_has_one_snapshot_of_its_best_checkpoint(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    store = CheckpointStore(run_dir)
    for step, em in [(1, 0.1), (2, 0.9), (3, 0.2)]:
        save(store, step, em)
    (snapshot,) = index_of(run_dir)["snapshots"]
    assert snapshot["step"] == 2
    assert snapshot["metrics"] == {"em": 0.9}
    assert (run_dir.checkpoints / snapshot["path"]).stat().st_size == snapshot["size_bytes"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a file", b"no archive at all"])
def test_a_broken_checkpoint_is_named_and_the_one_before_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    run_dir = RunDir(tmp_path)
    save(CheckpointStore(run_dir), 5, 0.5)
    (run_dir.checkpoints / "checkpoint-9.npz").write_bytes(content)
    params = weights(0)
    found = CheckpointStore(run_dir).load_newest(params, Adam(params))
    assert found is not None
    assert found[0] == "checkpoint-5"
    assert "checkpoint-9.npz" in capsys.readouterr().err


def test_a_checkpoint_of_another_model_changes_nothing(tmp_path: Path) -> None:
    save(CheckpointStore(RunDir(tmp_path)), 5, 0.5)
    params: Params = {"a": np.zeros((2, 3), np.float32), "b": np.zeros(5, np.float32)}
    assert CheckpointStore(RunDir(tmp_path)).load_newest(params, Adam(params)) is None
    assert not any(value.any() for value in params.values())
