"""One library at a time logs the same records: run by ``bench.peers`` in an environment of its own.

    python -m bench.peer_writers NAME MODE DIRECTORY [FD]

MODE is ``store`` (log everything, print the figures as JSON), ``drip`` (a scalar every 10 ms, and
a line to the file descriptor FD when the call has returned, until killed) or ``count`` (print how
many scalars the directory holds).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Protocol

SCALARS = 10_000
TEXTS = 1_000
TEXT = "All men are mortal. Socrates is a man. What follows? " * 20  # about 1 KB
DRIP_S = 0.01


class Writer(Protocol):
    """A library's way to log. Methods block as long as the library makes its callers wait."""

    def scalar(self, step: int, value: float) -> None:
        """One metric of one step."""

    def text(self, step: int) -> None:
        """One text sample."""

    def close(self) -> None:
        """Return when all is stored."""


class ControlRoom:
    def __init__(self, directory: Path) -> None:
        from control_room import Recorder

        self._recorder = Recorder(directory / "run")

    def scalar(self, step: int, value: float) -> None:
        self._recorder.log_metrics(step=step, loss=value)

    def text(self, step: int) -> None:
        self._recorder.log_preview(step=step, prompt=TEXT, golden="", model_answer="")

    def close(self) -> None:
        self._recorder.close()

    @staticmethod
    def count(directory: Path) -> int:
        from control_room import MetricPoint, RunDir
        from control_room.recording.records import parse_line

        logs = RunDir(directory / "run").logs("metrics").iterdir()
        lines = [line for log in logs for line in log.read_bytes().splitlines()]
        return len([parse_line(MetricPoint, line) for line in lines])


class Trackio:
    def __init__(self, directory: Path) -> None:
        os.environ["TRACKIO_DIR"] = str(directory)
        import trackio

        self._trackio: Any = trackio
        trackio.init(project="bench", name="run")

    def scalar(self, step: int, value: float) -> None:
        self._trackio.log({"loss": value}, step=step)

    def text(self, step: int) -> None:
        self._trackio.log({"sample": TEXT}, step=step)

    def close(self) -> None:
        self._trackio.finish()

    @staticmethod
    def count(directory: Path) -> int:
        import sqlite3

        with sqlite3.connect(directory / "bench.db") as database:
            rows = database.execute("SELECT metrics FROM metrics").fetchall()
        return sum("loss" in json.loads(metrics) for (metrics,) in rows)


class TensorBoard:
    def __init__(self, directory: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(directory))

    def scalar(self, step: int, value: float) -> None:
        self._writer.add_scalar("loss", value, step)

    def text(self, step: int) -> None:
        self._writer.add_text("sample", TEXT, step)

    def close(self) -> None:
        self._writer.close()

    @staticmethod
    def count(directory: Path) -> int:
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

        events = (
            event for file in directory.iterdir() for event in EventFileLoader(str(file)).Load()
        )
        return sum(value.tag == "loss" for event in events for value in event.summary.value)


class Aim:
    def __init__(self, directory: Path) -> None:
        import aim

        self._text: Any = aim.Text
        self._run: Any = aim.Run(
            repo=str(directory), system_tracking_interval=None, capture_terminal_logs=False
        )

    def scalar(self, step: int, value: float) -> None:
        self._run.track(value, name="loss", step=step)

    def text(self, step: int) -> None:
        self._run.track(self._text(TEXT), name="sample", step=step)

    def close(self) -> None:
        self._run.close()


class MLflow:
    def __init__(self, directory: Path) -> None:
        import mlflow

        self._mlflow: Any = mlflow
        mlflow.set_tracking_uri(f"sqlite:///{directory}/mlflow.db")
        mlflow.create_experiment("bench", artifact_location=(directory / "artifacts").as_uri())
        mlflow.set_experiment("bench")
        mlflow.start_run()

    def scalar(self, step: int, value: float) -> None:
        self._mlflow.log_metric("loss", value, step=step)

    def text(self, step: int) -> None:
        self._mlflow.log_text(TEXT, f"{step}.txt")

    def close(self) -> None:
        self._mlflow.end_run()

    @staticmethod
    def count(directory: Path) -> int:
        import sqlite3

        with sqlite3.connect(directory / "mlflow.db") as database:
            return int(database.execute("SELECT count(*) FROM metrics").fetchone()[0])


class WeightsAndBiases:
    def __init__(self, directory: Path) -> None:
        os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DIR=str(directory))
        import wandb

        self._run: Any = wandb.init(project="bench", dir=str(directory))

    def scalar(self, step: int, value: float) -> None:
        self._run.log({"loss": value})

    def text(self, step: int) -> None:
        self._run.log({"sample": TEXT})

    def close(self) -> None:
        self._run.finish()


WRITERS: dict[str, Callable[[Path], Writer]] = {
    "control_room": ControlRoom,
    "trackio": Trackio,
    "tensorboard": TensorBoard,
    "aim": Aim,
    "mlflow": MLflow,
    "wandb": WeightsAndBiases,
}


def main() -> None:
    """See the module."""
    name, mode, directory = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    if mode == "count":
        print(json.dumps(WRITERS[name].count(directory)))  # type: ignore[attr-defined]  # where there is one
        return
    writer = WRITERS[name](directory)
    if mode == "drip":
        _drip(writer, int(sys.argv[4]))
    print(json.dumps(_store(writer)))


def _store(writer: Writer) -> dict[str, float]:
    times_us = []
    began = time.perf_counter()
    for step in range(SCALARS):
        before = time.perf_counter_ns()
        writer.scalar(step, 1 / (step + 1))
        times_us.append((time.perf_counter_ns() - before) / 1e3)
    for step in range(TEXTS):
        writer.text(SCALARS + step)
    writer.close()
    took_s = time.perf_counter() - began
    return {
        "stored_per_s": (SCALARS + TEXTS) / took_s,
        "p50_us": median(times_us),
        "p99_us": quantiles(times_us, n=100)[98],
    }


def _drip(writer: Writer, acknowledged: int) -> None:
    step = 0
    due = time.monotonic()
    while True:
        step += 1
        writer.scalar(step, 1 / step)
        os.write(acknowledged, f"{step}\n".encode())
        due += DRIP_S
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
