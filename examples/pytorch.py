"""``python -m examples.pytorch``: a line fitted with plain PyTorch, and recorded. Needs torch."""

from __future__ import annotations

import argparse
from pathlib import Path

from control_room import Recorder


def main() -> None:
    """Train for two hundred steps."""
    parser = argparse.ArgumentParser(prog="python -m examples.pytorch", description=__doc__)
    parser.add_argument("--run-dir", type=Path, default=Path("runs/pytorch"))
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()

    import torch

    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    x = torch.linspace(-1, 1, 21).unsqueeze(1)
    # strict: in an example a mistake should be seen, not kept for later.
    with Recorder(options.run_dir, strict=True) as recorder:
        for step in range(1, options.steps + 1):
            loss = ((model(x) - (3 * x + 1)) ** 2).mean()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            recorder.log_metrics(step=step, loss=loss, grad_norm=norm, learning_rate=0.05)
            recorder.update_status(current_step=step, total_steps=options.steps, loss=loss)
        recorder.mark_completed()
    print(f"Watch it with: make run RUN_DIR={options.run_dir}")


if __name__ == "__main__":
    main()
