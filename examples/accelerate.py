"""``python -m examples.accelerate``: a line fitted with Accelerate, and recorded.

Needs accelerate and torch.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def main() -> None:
    """Train for two hundred steps."""
    parser = argparse.ArgumentParser(prog="python -m examples.accelerate", description=__doc__)
    parser.add_argument("--run-dir", type=Path, default=Path("runs/accelerate"))
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()

    import torch
    from accelerate import Accelerator

    from control_room.integrations.accelerate import ControlRoomTracker

    tracker = ControlRoomTracker(options.run_dir, total_steps=options.steps)
    accelerator = Accelerator(cpu=True, log_with=tracker)
    accelerator.init_trackers("line", config={"lr": 0.05, "steps": options.steps})

    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    model, optimizer = accelerator.prepare(model, optimizer)
    x = torch.linspace(-1, 1, 21).unsqueeze(1)
    for step in range(1, options.steps + 1):
        loss = ((model(x) - (3 * x + 1)) ** 2).mean()
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        accelerator.log({"loss": loss, "learning_rate": 0.05}, step=step)
    accelerator.end_training()
    print(f"Watch it with: make run RUN_DIR={options.run_dir}")


if __name__ == "__main__":
    main()
