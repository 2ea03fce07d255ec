"""Lightning's real Trainer, read back through the history index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from control_room import RunDir
from tests.integrations.readback import read_back

lightning = pytest.importorskip("lightning", reason="make test-integrations brings it")
torch = pytest.importorskip("torch")

STEPS = 6


class Line(lightning.LightningModule):  # type: ignore[misc, name-defined]  # not there where types are checked
    def __init__(self, breaks_at: int | None = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(1, 1)
        self.breaks_at = breaks_at
        self.losses: list[float] = []

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        if batch_idx == self.breaks_at:
            raise RuntimeError("the loss is gone")
        loss = ((self.layer(batch[0]) - batch[1]) ** 2).mean()
        self.log("train_loss", loss)
        self.losses.append(loss.item())
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", ((self.layer(batch[0]) - batch[1]) ** 2).mean())

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(run: RunDir, module: Any) -> None:
    from control_room.integrations.lightning import ControlRoomLogger, ControlRoomProgress

    x = torch.linspace(0, 1, STEPS).unsqueeze(1)
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, 2 * x))
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=ControlRoomLogger(run.path),
        callbacks=[ControlRoomProgress()],
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=run.path.parent,
    )
    trainer.fit(module, data, data)


def status(run: RunDir) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run.status_file.read_text())
    return told


def test_what_the_module_logs_is_recorded(tmp_path: Path) -> None:
    run, module = RunDir(tmp_path / "run"), Line()
    fit(run, module)
    told_back = read_back(
        run, "SELECT step, loss FROM metrics WHERE loss IS NOT NULL ORDER BY step"
    )
    assert [loss for _, loss in told_back] == pytest.approx(module.losses)
    assert [step for step, _ in told_back] == list(range(STEPS))
    validated = read_back(run, "SELECT val_loss FROM metrics WHERE val_loss IS NOT NULL")
    assert [loss for (loss,) in validated] == [
        pytest.approx(module.trainer.callback_metrics["val_loss"].item())
    ]
    told = status(run)
    assert (told["status"], told["current_step"], told["total_steps"]) == (
        "completed",
        STEPS,
        STEPS,
    )
    assert told["model_name"] == "Line"
    assert told["config"] == {"breaks_at": None}


def test_a_run_that_breaks_says_why(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    with pytest.raises(RuntimeError, match="the loss is gone"):
        fit(run, Line(breaks_at=3))
    told = status(run)
    assert (told["status"], told["error_message"]) == ("crashed", "the loss is gone")
