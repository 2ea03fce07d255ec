"""What measurements of the running app share: the app itself, a busy trainer, a browser."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Playwright

from control_room import Recorder

ROOT = Path(__file__).resolve().parent.parent
_CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
]


@contextmanager
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """A headless browser. Raises ``FileNotFoundError`` when there is none."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise FileNotFoundError("this needs Chromium; see tests/ensure_tools.sh")
    browser = playwright.chromium.launch(executable_path=path, args=_CHROMIUM_FLAGS)
    try:
        yield browser
    finally:
        browser.close()


class Server(subprocess.Popen[bytes]):
    """The app's process."""

    started_at: float


@contextmanager
def served_app(run_dir: Path) -> Iterator[tuple[Server, str, float]]:
    """The app as a user starts it; yields it, its address, and the seconds to its first answer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    started_at = time.monotonic()
    server = Server(
        [sys.executable, "-m", "app", "--run-dir", str(run_dir), "--port", str(port)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server.started_at = started_at
    try:
        while not _answers(address):
            if server.poll() is not None or time.monotonic() - started_at > 60:
                raise RuntimeError("the app did not start")
            time.sleep(0.01)
        yield server, address, time.monotonic() - started_at
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=20)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


@contextmanager
def busy_trainer(run_dir: Path) -> Iterator[None]:
    """Writes as a quick trainer does: five steps a second, a preview a second."""
    stop = threading.Event()

    def write() -> None:
        with Recorder(run_dir) as recorder:
            step = 0
            while not stop.wait(0.2):
                step += 1
                loss = 3.0 / (1 + step / 100) + random.uniform(0, 0.1)
                recorder.log_metrics(step=step, loss=loss, learning_rate=1e-3, grad_norm=1.0)
                recorder.log_throughput(step=step, tokens_per_sec=2400.0, vram_used_gb=20.0)
                recorder.update_status(
                    status="training", current_step=step, total_steps=100_000, loss=loss
                )
                if step % 5 == 0:
                    recorder.log_preview(
                        step=step,
                        prompt="All men are mortal. Socrates is a man. " * 5,
                        golden="Socrates is mortal",
                        model_answer=random.choice(["Socrates is mortal", "Socrates is a man"]),
                        exact_match=random.random() < 0.7,
                        regime=random.choice(["emoji_think", "regime3"]),
                        source_pool="fixed_eval",
                        pattern="syllogism",
                    )

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
