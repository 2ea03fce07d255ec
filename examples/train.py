"""``python -m examples.train``: the demo's trainer process.

It runs until all steps are done, ``--minutes`` are over, or Ctrl-C; started again on the same
directory it goes on from the last checkpoint.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from control_room import Recorder, RunDir
from examples.stopping import StopRequest
from examples.workdir import DemoError, claim, held, wipe

DEFAULT_RUN_DIR = Path("demo_run")

# Read by the BLAS libraries when NumPy loads. One thread is as fast for matrices this small, and
# leaves the other cores to the app.
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def train(run_dir: RunDir, *, stop: StopRequest, seed: int, total_steps: int) -> None:
    """Train in a directory that is claimed and held, until done or told to stop."""
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")
    os.nice(5)
    # Only now, as NumPy reads the environment when it is loaded.
    from examples.trainer import Trainer

    with Recorder(run_dir, strict=True) as recorder:
        trainer = Trainer(recorder, seed=seed, total_steps=total_steps, stopping=stop.asked)
        trainer.run()
        if not trainer.completed:
            recorder.mark_paused(stop.reason)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 when done or told to stop, 2 when it could not start."""
    options = _options(arguments)
    stop = StopRequest(minutes=options.minutes)
    stop.install()
    try:
        run_dir = claim(options.run_dir)
        with held(run_dir):
            if options.fresh:
                wipe(run_dir)
            train(run_dir, stop=stop, seed=options.seed, total_steps=options.total_steps)
    except DemoError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.train", description=__doc__)
    parser.add_argument(
        "--run-dir", type=Path, default=DEFAULT_RUN_DIR, help="default: %(default)s"
    )
    parser.add_argument("--minutes", type=_positive, help="stop after so long; default: go on")
    parser.add_argument(
        "--total-steps", type=int, default=300_000, help="done after so many; default: %(default)s"
    )
    parser.add_argument("--seed", type=int, default=0, help="of weights and data")
    parser.add_argument("--fresh", action="store_true", help="forget earlier demo runs there")
    return parser.parse_args(arguments)


def _positive(text: str) -> float:
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


if __name__ == "__main__":
    sys.exit(main())
