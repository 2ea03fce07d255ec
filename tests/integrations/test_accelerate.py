"""Accelerate's real tracking, read back through the history index."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from control_room import RunDir
from tests.integrations.readback import read_back

accelerate = pytest.importorskip("accelerate", reason="make test-integrations brings it")
torch = pytest.importorskip("torch")


def test_what_is_logged_and_the_configuration_are_recorded(tmp_path: Path) -> None:
    from control_room.integrations.accelerate import ControlRoomTracker

    run = RunDir(tmp_path / "run")
    accelerator = accelerate.Accelerator(cpu=True, log_with=ControlRoomTracker(run.path))
    accelerator.init_trackers("run", config={"lr": 0.1, "model": "tiny"})
    for step in range(3):
        loss = torch.tensor(1.0 / (step + 1))
        accelerator.log({"train_loss": loss, "lr": 0.1, "accuracy": 0.5}, step=step)
    accelerator.log({"loss": 1.0})  # without a step
    accelerator.end_training()
    assert read_back(run, "SELECT step, loss, learning_rate FROM metrics ORDER BY step") == [
        (0, 1.0, 0.1),
        (1, 0.5, 0.1),
        (2, pytest.approx(1 / 3), 0.1),
    ]
    status = json.loads(run.status_file.read_text())
    assert (status["status"], status["current_step"]) == ("completed", 2)
    assert status["config"] == {"lr": 0.1, "model": "tiny"}
