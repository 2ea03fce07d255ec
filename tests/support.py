"""What several tests need: waiting with a deadline, free ports, processes that get stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
PATIENCE_S = 300.0


def wait_until(
    condition: Callable[[], bool], timeout_s: float = 10.0, what: str = "the condition"
) -> None:
    """Return when ``condition`` holds; fail when it does not within ``timeout_s``.

    Nor within ``PATIENCE_S``, where that is longer: a busy machine is no failure.
    """
    timeout_s = max(timeout_s, PATIENCE_S)
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {timeout_s:g} s"
        pause.wait(0.01)


def run_async(coroutine: Coroutine[object, object, None]) -> None:
    """``asyncio.run``, in a thread: a browser of the session leaves a loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, coroutine).result()


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(
    arguments: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
) -> Iterator[subprocess.Popen[bytes]]:
    """``python -m …``, from the repository's root unless told; ended when the block ends."""
    with log.open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=cwd,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
        )
        try:
            yield started
        finally:
            started.send_signal(signal.SIGTERM)
            try:
                started.wait(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


@contextmanager
def serving_app(run_dir: Path, log: Path, *flags: str) -> Iterator[str]:
    """The real app on a port of its own; yields its address once it answers."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    arguments = ["app", "--run-dir", str(run_dir), "--port", str(port), *flags]
    with process(arguments, log=log) as server:

        def answers() -> bool:
            assert server.poll() is None, log.read_text()
            try:
                with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2) as answer:
                    return bool(answer.status == 200)
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                return False

        wait_until(answers, 60, f"an answer from {address}")
        yield address
