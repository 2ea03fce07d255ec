"""``python -m examples.lightning``: a line fitted with Lightning, and recorded.

Needs lightning and torch.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def main() -> None:
    """Train for two hundred steps."""
    parser = argparse.ArgumentParser(prog="python -m examples.lightning", description=__doc__)
    parser.add_argument("--run-dir", type=Path, default=Path("runs/lightning"))
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()

    import lightning
    import torch

    from control_room.integrations.lightning import ControlRoomLogger, ControlRoomProgress

    x = torch.linspace(-1, 1, 20).unsqueeze(1)
    data = torch.utils.data.TensorDataset(x, 3 * x + 1)
    trainer = lightning.Trainer(
        max_steps=options.steps,
        accelerator="cpu",
        logger=ControlRoomLogger(options.run_dir),
        callbacks=[ControlRoomProgress()],
        log_every_n_steps=1,
        enable_progress_bar=False,
        default_root_dir=options.run_dir / "checkpoints",
    )
    trainer.fit(_line(), torch.utils.data.DataLoader(data, batch_size=5))
    print(f"Watch it with: make run RUN_DIR={options.run_dir}")


def _line() -> Any:
    import lightning
    import torch

    class Line(lightning.LightningModule):  # type: ignore[misc]  # not there where types are checked
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = ((self.layer(batch[0]) - batch[1]) ** 2).mean()
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.05)

    return Line()


if __name__ == "__main__":
    main()
