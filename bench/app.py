"""What the app costs: start, memory, CPU per viewer, and how soon a change is on screen.

Viewers are real pages in one headless Chromium; only the server's process is measured.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from bench.rows import Row, as_table, at_most
from bench.serving import busy_trainer, chromium, served_app
from control_room import Recorder

STARTS = 5
CPU_WINDOW_S = 20.0
CHANGES = 25


def measure() -> list[Row]:
    """Run every measurement of this module; about four minutes."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        playwright = stack.enter_context(sync_playwright())
        browser = stack.enter_context(chromium(playwright))
        run_dir = directory / "run"
        stack.enter_context(busy_trainer(run_dir))
        return [*_starts(run_dir, browser), *_costs(run_dir, browser), _latency(run_dir, browser)]


def _starts(run_dir: Path, browser: Browser) -> list[Row]:
    to_answer, to_card = [], []
    for _ in range(STARTS):
        with served_app(run_dir) as (server, address, answered_s):
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
    with served_app(run_dir) as (server, address, _):
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
    with served_app(quiet_run) as (_, address, _answered):
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
