"""What is done to a run's preview log, and a process in which it is killed on the way.

Killing means forking, which is cheap for a small process alone: so a process of its own does it,
``python -m tests.control_room.logs.killed``, told by lines of JSON what to do and when to die.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Self

from control_room import RunDir
from control_room.extra import load_extra
from control_room.importing.reading import Reading
from control_room.importing.target import Target
from control_room.logs.retention import Form, carry_out, plan
from control_room.recording.daily_log import DailyLog
from control_room.recording.records import PreviewRecord, to_json_line
from tests.support import ROOT

TODAY = date(2026, 3, 20)


def preview(step: int, day: date) -> PreviewRecord:
    at = datetime.combine(day, time(12), UTC) + timedelta(milliseconds=step)
    return PreviewRecord(ts=at, step=step, prompt=f"p{step}", golden="g", model_answer="a")


def line(step: int, day: date) -> bytes:
    return to_json_line(preview(step, day), run_id="run", now="")


def append(run: RunDir, day: date, steps: Sequence[int]) -> None:
    """As a recorder whose clock is wrong does."""
    log = DailyLog(lambda day: run.log_file("preview", day), fsync=False)
    for step in steps:
        log.append(line(step, day), day)
    log.close()


def imported(run: RunDir, day: date, steps: Sequence[int], killed_at: int | None = None) -> None:
    target = Target(run)
    for number, step in enumerate(steps):
        if number == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        target.add(Reading("test", [preview(step, day)], {}))
    target.close()


def retained(run: RunDir, form: Form) -> None:
    for step in plan(run, TODAY, form=form):
        carry_out(step)


class Killer:
    """Has things done by a child that is killed before its n-th change of the disk."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Self]:
        """For the length of the block."""
        command = [sys.executable, "-m", __name__]
        with subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            yield cls(process)
            assert process.stdin is not None
            process.stdin.close()

    def retain(self, run: RunDir, form: Form, killed_at: int) -> None:
        self._do({"run": str(run.path), "form": form, "killed_at": killed_at})

    def import_(self, run: RunDir, day: date, steps: Sequence[int], killed_at: int) -> None:
        told = {"run": str(run.path), "day": day.isoformat(), "steps": steps}
        self._do({**told, "killed_at": killed_at})

    def _do(self, what: dict[str, Any]) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"


def _do(what: dict[str, Any]) -> None:
    run, killed_at = RunDir(Path(what["run"])), what["killed_at"]
    if "steps" in what:
        imported(run, date.fromisoformat(what["day"]), what["steps"], killed_at)
        return
    calls = count()

    def killing(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            if next(calls) == killed_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return wrapped

    for name in ("replace", "rename", "unlink", "fsync"):
        setattr(os, name, killing(getattr(os, name)))
    fcntl.flock = killing(fcntl.flock)
    retained(run, what["form"])


def main() -> None:
    load_extra("pyarrow.parquet")  # here, or each child would load it anew
    for what in map(json.loads, sys.stdin):
        child = os.fork()
        if child == 0:
            try:
                _do(what)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
