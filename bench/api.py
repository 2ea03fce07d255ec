"""What an answer of the API costs, and whether the live page keeps its pace beside it."""

from __future__ import annotations

import http.client
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, sync_playwright

from app.settings import load_settings
from app.views.build import assemble
from app.views.ready import ready_views
from app.watch.monitor import Monitor
from app.watch.sources import samples_of
from bench.history import write_logs
from bench.rows import Row, at_least, at_most
from bench.serving import busy_trainer, chromium, served_app
from control_room.rundir import RunDir

SIZES = {"3 k": 3_000, "100 k": 100_000, "1 M": 1_000_000}
STATUS = ("live", "preview", "evals", "system")
ASKS = 400
CONNECTIONS = 10
LOAD_S = 5.0
LOADED_REQUESTS_PER_S = 500
WATCH_S = 40.0
GZIP = {"Accept-Encoding": "gzip"}


def measure() -> list[Row]:
    """Run every measurement of this module; about four minutes."""
    rows = [_building()]
    for label, count in SIZES.items():
        with tempfile.TemporaryDirectory(prefix="control-room-bench-") as name:
            run = RunDir(Path(name) / "run")
            write_logs(run, count)
            with served_app(run.path) as (_, address, _answered):
                rows += _answers_of(address, label)
    with tempfile.TemporaryDirectory(prefix="control-room-bench-") as name:
        rows.append(_pace_under_load(Path(name) / "run"))
    return rows


def _answers_of(address: str, label: str) -> list[Row]:
    rows = []
    connection = _connect(address)
    _wait_for_history(connection)
    for name in STATUS:
        connection = _connect(address)  # an idle one is closed while others are loaded
        path = f"/api/status/{name}"
        size = len(_get(connection, path, GZIP))
        rows.append(at_most(f"{label}: {name}", _median_ms(connection, path, GZIP), "ms", 0.8))
        if name != "preview":
            rows.append(at_most(f"{label}: {name}, on the wire", size / 1024, "KB", 4))
            rows.append(
                at_least(
                    f"{label}: {name}, {CONNECTIONS} connections",
                    _requests_per_s(address, path),
                    "requests/s",
                    2_000,
                )
            )
    rows.append(
        Row(
            f"{label}: live, a fresh connection each time",
            _median(lambda: _get(_connect(address), "/api/status/live", GZIP), 100),
            "ms",
        )
    )
    connection = _connect(address)
    limit_ms = {"100 k": 10.0, "1 M": 20.0}.get(label)
    total = json.loads(_get(connection, "/api/preview/history?limit=1", {}))["total"]
    for what, query in (
        ("newest", ""),
        ("in the middle", f"&offset={total // 2}"),
        ("filtered", "&regime=regime3&exact_match=false"),
    ):
        path = f"/api/preview/history?limit=100{query}"
        name, spent = f"{label}: history, 100 rows, {what}", _median_ms(connection, path, GZIP, 40)
        rows.append(
            Row(name, spent, "ms") if limit_ms is None else at_most(name, spent, "ms", limit_ms)
        )
    size = len(_get(connection, "/api/preview/history?limit=100", GZIP))
    rows.append(at_most(f"{label}: history, 100 rows, on the wire", size / 1024, "KB", 100))
    return rows


def _building() -> Row:
    with tempfile.TemporaryDirectory(prefix="control-room-bench-") as name:
        run = RunDir(Path(name) / "run")
        write_logs(run, 3_000)
        settings = load_settings({"run_dir": str(run.path)})
        monitor = Monitor(settings)
        monitor.start()
        time.sleep(3)
        samples = samples_of(monitor.sources, settings)

        def build() -> object:
            views = assemble(samples, settings, now=time.time(), version=1)
            return ready_views(views, "bench")

        row = at_most("building all views, and their bytes", _median(build, 200), "ms", 3)
        monitor.stop()
    return row


def _pace_under_load(run_dir: Path) -> Row:
    """How long the page's live zone goes without a change while the API is asked all the time."""
    with (
        sync_playwright() as playwright,
        chromium(playwright) as browser,
        busy_trainer(run_dir),
        served_app(run_dir) as (_, address, _answered),
    ):
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector(".st-key-card-training .cr")
        stop = threading.Event()
        askers = [
            threading.Thread(target=_ask_steadily, args=(address, stop)) for _ in range(CONNECTIONS)
        ]
        for asker in askers:
            asker.start()
        gaps = _gaps_between_changes(page)
        stop.set()
        for asker in askers:
            asker.join()
    p95 = statistics.quantiles(gaps, n=20)[-1]
    name = f"live zone of a page beside {LOADED_REQUESTS_PER_S} requests/s, p95 of its interval"
    return at_most(name, p95, "s", 1.5)


def _gaps_between_changes(page: Page) -> list[float]:
    times: list[float] = page.evaluate(
        """async seconds => {
            const times = [];
            const target = document.querySelector('.st-key-card-training');
            const note = () => {
                const now = performance.now() / 1000;
                if (!times.length || now - times[times.length - 1] > 0.1) times.push(now);
            };
            new MutationObserver(note).observe(
                target, {subtree: true, childList: true, characterData: true});
            await new Promise(resolve => setTimeout(resolve, 1000 * seconds));
            return times;
        }""",
        WATCH_S,
    )
    return [later - earlier for earlier, later in pairwise(times)]


def _ask_steadily(address: str, stop: threading.Event) -> None:
    connection = _connect(address)
    pause = CONNECTIONS / LOADED_REQUESTS_PER_S
    due = time.monotonic()
    while not stop.is_set():
        _get(connection, "/api/status/live", GZIP)
        due += pause
        stop.wait(max(0.0, due - time.monotonic()))


def _requests_per_s(address: str, path: str) -> float:
    counts: list[int] = []
    until = time.monotonic() + LOAD_S

    def ask() -> None:
        connection, count = _connect(address), 0
        while time.monotonic() < until:
            _get(connection, path, GZIP)
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=ask) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / LOAD_S


def _wait_for_history(connection: http.client.HTTPConnection) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        connection.request("GET", "/api/preview/history?limit=1")
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:
            return
        time.sleep(0.5)
    raise TimeoutError("the history was not read in time")


def _connect(address: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)


def _get(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> bytes:
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {body[:200]!r}")
    return body


def _median_ms(
    connection: http.client.HTTPConnection, path: str, headers: dict[str, str], asks: int = ASKS
) -> float:
    return _median(lambda: _get(connection, path, headers), asks)


def _median(call: Callable[[], object], repeats: int) -> float:
    """Milliseconds."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return 1e3 * statistics.median(times)
