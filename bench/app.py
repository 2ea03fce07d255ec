"""What the app costs: start, memory, CPU per viewer, and how soon a change is on screen.

Viewers are real pages in one headless Chromium; only the server's process is measured.
"""

from __future__ import annotations

import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from bench.rows import Row, as_table, at_most
from control_room import Recorder

ROOT = Path(__file__).resolve().parent.parent
STARTS = 5
CPU_WINDOW_S = 20.0
CHANGES = 25
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
]


def measure() -> list[Row]:
    """Run every measurement of this module; about four minutes."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise FileNotFoundError("bench.app needs Chromium; see tests/browser/ensure_chromium.sh")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        stack.callback(browser.close)
        run_dir = directory / "run"
        stack.enter_context(_busy_trainer(run_dir))
        return [*_starts(run_dir, browser), *_costs(run_dir, browser), _latency(run_dir, browser)]


def _starts(run_dir: Path, browser: Browser) -> list[Row]:
    to_answer, to_card = [], []
    for _ in range(STARTS):
        with _server(run_dir) as (server, address, answered_s):
            page = browser.new_page()
            page.goto(address, wait_until="commit")
            page.wait_for_selector(".st-key-card-summary .cr")
            to_card.append(time.monotonic() - server.started_at)
            to_answer.append(answered_s)
            page.close()
    return [
        at_most("start to first HTTP 200", statistics.median(to_answer), "s", 1.5),
        Row("start to first drawn card", statistics.median(to_card), "s"),
    ]


def _costs(run_dir: Path, browser: Browser) -> list[Row]:
    rows = []
    with _server(run_dir) as (server, address, _):
        process = psutil.Process(server.pid)
        time.sleep(10)
        rows.append(Row("resident memory, idle", _rss_mb(process), "MB"))
        idle_pct = _cpu_pct(process)
        rows.append(Row("CPU without viewers", idle_pct, "% of a core"))
        pages: list[Page] = []
        for viewers in (1, 5, 20):
            while len(pages) < viewers:
                page = browser.new_context().new_page()
                page.goto(address)
                page.wait_for_selector(".st-key-card-preview-stats .cr")
                pages.append(page)
            time.sleep(5)
            if viewers == 1:
                rows.append(at_most("resident memory, one viewer", _rss_mb(process), "MB", 200))
            total = _cpu_pct(process) - idle_pct
            rows.append(
                at_most(f"CPU per viewer, {viewers} viewers", total / viewers, "% of a core", 1.5)
            )
            if viewers == 20:
                rows.append(at_most("CPU, 20 viewers in all", total, "% of a core", 30))
        rows.append(Row("resident memory, 20 viewers", _rss_mb(process), "MB"))
        for page in pages:
            page.context.close()
    return rows


def _latency(run_dir: Path, browser: Browser) -> Row:
    quiet_run = run_dir.with_name("quiet")
    recorder = Recorder(quiet_run)
    recorder.update_status(status="training", current_step=1, total_steps=10**6)
    waits = []
    with _server(quiet_run) as (_, address, _answered):
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector(".st-key-card-summary .cr")
        for step in range(100, 100 + CHANGES):
            time.sleep(random.uniform(1.0, 2.0))
            written = time.monotonic()
            recorder.update_status(current_step=step)
            page.wait_for_function(
                "text => document.querySelector('.st-key-card-summary').innerText.includes(text)",
                arg=f"Step {step} ",
                polling=20,
            )
            waits.append(time.monotonic() - written)
        page.close()
    recorder.close()
    waits.sort()
    print(f"  status write to screen: worst {waits[-1]:.2f} s of {len(waits)}")
    return at_most("status write to changed number on screen", statistics.median(waits), "s", 1.5)


class _Server(subprocess.Popen[bytes]):
    started_at: float


@contextmanager
def _server(run_dir: Path) -> Iterator[tuple[_Server, str, float]]:
    """The app as a user starts it; yields it, its address, and the seconds to its first answer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    started_at = time.monotonic()
    server = _Server(
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
def _busy_trainer(run_dir: Path) -> Iterator[None]:
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


def _cpu_pct(process: psutil.Process) -> float:
    """CPU of the process over a window, in percent of one core."""

    def used_s() -> float:
        times = process.cpu_times()
        return times.user + times.system

    before, since = used_s(), time.monotonic()
    time.sleep(CPU_WINDOW_S)
    return 100 * (used_s() - before) / (time.monotonic() - since)


def _rss_mb(process: psutil.Process) -> float:
    return process.memory_info().rss / 1e6


if __name__ == "__main__":
    print(as_table(measure()))
