"""The smallest trainer integration: fit a line by gradient descent, and record it.

Run it with ``python -m examples.minimal [RUN_DIR]`` and watch it with ``make run``.
"""

from __future__ import annotations

import sys
import time

from control_room import Recorder

STEPS = 600
LEARNING_RATE = 0.05
POINTS = [(x / 10, 3 * x / 10 + 1) for x in range(-10, 11)]


def main(run_dir: str, pause_s: float = 0.1) -> tuple[float, float]:
    """Returns slope and intercept; pauses after each step, so that a person can watch."""
    slope = intercept = 0.0
    # strict: in an example a mistake should be seen, not kept for later.
    with Recorder(run_dir, strict=True) as recorder:
        for step in range(1, STEPS + 1):
            errors = [(slope * x + intercept - y, x) for x, y in POINTS]
            loss = sum(error**2 for error, _ in errors) / len(errors)
            slope -= LEARNING_RATE * 2 * sum(error * x for error, x in errors) / len(errors)
            intercept -= LEARNING_RATE * 2 * sum(error for error, _ in errors) / len(errors)
            recorder.log_metrics(step=step, loss=loss, learning_rate=LEARNING_RATE)
            recorder.update_status(current_step=step, total_steps=STEPS, loss=loss)
            if step % 20 == 0:
                x, y = POINTS[step // 20 % len(POINTS)]
                answer = f"{slope * x + intercept:.1f}"
                recorder.log_preview(
                    step=step,
                    prompt=f"y at x = {x:.1f}",
                    golden=f"{y:.1f}",
                    model_answer=answer,
                    exact_match=answer == f"{y:.1f}",
                )
            time.sleep(pause_s)
    return slope, intercept


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ".")
