"""A run directory of the demo's own: claimed by a marker, held by one trainer, wiped on request.

Nothing is written to, or removed from, a directory that the demo has not made itself.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from control_room import RunDir
from control_room.rundir import LOG_KINDS, QUEUE_PRIORITIES
from examples.rounds import EXAMPLES

MARKER = ".control_room_demo"
LOCK = "trainer.lock"

_MARKER_TEXT = "The demo of Control Room made this directory; `--fresh` empties it.\n"
_NOT_A_TRAINERS = frozenset({".control_room", "control_room.toml"})  # the app's and its user's


class DemoError(Exception):
    """The demo cannot start. The message names the directory and says what to do."""


def claim(path: Path) -> RunDir:
    """Make the directory the demo's own, or find that it is.

    Raises:
        DemoError: it holds something that the demo did not make, or cannot be written.
    """
    marker = path / MARKER
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not marker.exists():
            others = sorted({entry.name for entry in path.iterdir()} - _NOT_A_TRAINERS)
            if others:
                raise DemoError(
                    f"{path} is not empty ({', '.join(others[:3])}) and was not made by the demo. "
                    "Name another directory with --run-dir."
                )
            marker.write_text(_MARKER_TEXT)
    except OSError as error:
        raise DemoError(
            f"{path} cannot be used: {error.strerror}. Name another directory with --run-dir."
        ) from error
    return RunDir(path)


@contextmanager
def held(run_dir: RunDir) -> Iterator[None]:
    """Keep every other trainer out for as long as the block lasts.

    The lock is the kernel's: it goes when the process goes, however that ends.

    Raises:
        DemoError: another trainer is at work there.
    """
    path = run_dir.path / LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            raise DemoError(
                f"{run_dir.path} is in use: another trainer (process {pid}) is at work there. "
                "Stop it first, or name another directory with --run-dir."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def wipe(run_dir: RunDir) -> None:
    """Remove what a demo run writes, and nothing else. Call it while the directory is held.

    Raises:
        DemoError: the directory does not carry the demo's marker.
    """
    if not (run_dir.path / MARKER).is_file():
        raise DemoError(f"{run_dir.path} was not made by the demo: nothing was removed.")
    patterns = {
        run_dir.path: ("*.log", run_dir.previews_file.name, EXAMPLES),
        run_dir.status_file.parent: (
            f"*{run_dir.status_file.name}*",
            f"{run_dir.runner_state_file.name}*",
        ),
        run_dir.round_request_file.parent: (f"{run_dir.round_request_file.name}*",),
        run_dir.checkpoints: ("checkpoint-*.npz*", f"{run_dir.retention_index_file.name}*"),
        run_dir.checkpoints / "snapshots": ("snapshot-*.npz*",),
    }
    for kind in LOG_KINDS:
        patterns[run_dir.logs(kind)] = tuple(f"{glob}*" for glob in run_dir.log_globs(kind))
    waiting = [run_dir.queue(priority) for priority in QUEUE_PRIORITIES]
    for directory in (*waiting, run_dir.queue("processing")):
        patterns[directory] = ("demo_*.jsonl*",)
    for directory, globs in patterns.items():
        for glob in globs:
            for file in directory.glob(glob):
                file.unlink()
    shutil.rmtree(run_dir.cache, ignore_errors=True)
    # Deepest first; a directory that still holds something of somebody else's stays.
    for directory in sorted((*patterns, *(path.parent for path in patterns)), reverse=True):
        if run_dir.path in directory.parents:
            with suppress(OSError):
                directory.rmdir()
