"""The Recorder's guarantees at their hardest: hundreds of kills, and a disk that is really full."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from control_room import MetricPoint, PreviewRecord, Recorder, RunDir
from control_room.recording.recorder_warning import RecorderWarning
from control_room.recording.records import parse_line

KILLS = 500
WRITERS = 4


def writing(run: RunDir, name: str, acknowledge: int) -> None:
    """Record until killed; each step is told once its call has returned."""
    sizes = random.Random(name)
    recorder = Recorder(run.path, run_id=name)
    step = 0
    while True:
        text = "x" * int(2 ** sizes.uniform(0, 11))
        recorder.log_preview(step=step, prompt=text, golden="", model_answer="")
        os.write(acknowledge, b"%d\n" % step)
        step += 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forking: no thread is at work
def test_five_hundred_kills_lose_double_and_tear_nothing_that_was_acknowledged(
    tmp_path: Path,
) -> None:
    run, chance = RunDir(tmp_path / "run"), random.Random(20260101)
    Recorder(run.path).close()
    acknowledged: set[tuple[str, int]] = set()
    killed = 0
    while killed < KILLS:
        writers = []
        for number in range(WRITERS):
            name = f"w{killed}-{number}"
            ours, theirs = os.pipe()
            child = os.fork()
            if child == 0:
                try:
                    os.close(ours)
                    writing(run, name, theirs)
                finally:
                    os._exit(1)
            os.close(theirs)
            writers.append((name, child, ours))
        time.sleep(chance.uniform(0.0, 0.006))
        for name, child, ours in writers:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            killed += 1
            with os.fdopen(ours, "rb") as told:
                lines = told.read().split(b"\n")
            # What stands behind the last newline was being acknowledged.
            acknowledged |= {(name, int(step)) for step in lines[:-1]}
    found: Counter[tuple[str | None, int]] = Counter()
    torn = 0
    for log in run.logs("preview").iterdir():
        for line in log.read_bytes().split(b"\n"):
            try:
                record = parse_line(PreviewRecord, line)
            except ValueError:
                torn += bool(line)
            else:
                found[record.run_id, record.step] += 1
    assert len(acknowledged) > KILLS, "writers were killed at work, not before it"
    assert acknowledged <= found.keys(), "lost"
    assert set(found.values()) == {1}, "doubled"
    assert len(found) <= len(acknowledged) + KILLS, "at most one each was written and not told"
    assert torn <= KILLS, "a torn line is at most the one that a kill cut"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    allowed = os.geteuid() == 0
    if not allowed or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system is not allowed here")
    yield place
    # Lazily: a failed test may still hold a file of it.
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_never_raises_is_told_once_and_logging_resumes(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    recorder = Recorder(small_disk / "run")
    recorder.log_metrics(step=0, loss=1.0)
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:  # until it is full
            file.write(b"0" * 4096)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(1, 300):
            recorder.log_metrics(step=step, loss=0.5)
            recorder.log_preview(step=step, prompt="p" * 100, golden="g", model_answer="a")
    full = [str(each.message) for each in caught if issubclass(each.category, RecorderWarning)]
    assert len(full) == 2, "once for each of the two logs"
    assert all("No space left" in message for message in full)
    ballast.unlink()
    recorder.close()
    steps = [
        line.count(b'"step"')
        for log in (small_disk / "run" / "logs" / "metrics").iterdir()
        for line in log.read_bytes().splitlines()
    ]
    assert len(steps) >= 300
    assert recorder.dropped["metrics"] == recorder.dropped["preview"] == 0


def test_a_mount_that_turns_read_only_never_raises_and_logging_resumes(small_disk: Path) -> None:
    def remount(mode: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{mode}", str(small_disk)], check=True)

    recorder = Recorder(small_disk / "run")
    recorder.log_metrics(step=0, loss=1.0)
    recorder.close()  # a file that is open for writing would keep the mount writable
    remount("ro")
    with pytest.warns(RecorderWarning, match="Read-only") as caught:
        for step in range(1, 50):
            recorder.log_metrics(step=step, loss=0.5)
    assert len(caught) == 1
    remount("rw")
    recorder.log_metrics(step=50, loss=0.5)
    recorder.close()
    (log,) = RunDir(small_disk / "run").logs("metrics").iterdir()
    found = [parse_line(MetricPoint, line).step for line in log.read_bytes().splitlines()]
    assert found == list(range(51))
