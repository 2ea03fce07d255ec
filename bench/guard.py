"""What the guard before the app costs each request, beside the same without it."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any

from app.api import PATHS, create_api
from app.server import STREAMLIT_PAGE
from app.serving.content_policy import content_policy
from app.serving.guard import Guard
from app.serving.hosts import Hosts
from app.settings import load_settings
from app.watch.monitor import Monitor
from bench.rows import Row, at_most

ASKS = 20_000
ROUNDS = 9
# As Chromium sends them with a page's own request.
BROWSER = (
    ("host", "localhost:8501"),
    ("connection", "keep-alive"),
    ("sec-ch-ua-platform", '"Linux"'),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0.0.0"),
    ("sec-ch-ua", '"Chromium";v="156"'),
    ("sec-ch-ua-mobile", "?0"),
    ("accept", "*/*"),
    ("origin", "http://localhost:8501"),
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-dest", "empty"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-US,en;q=0.9"),
    ("cookie", "_streamlit_xsrf=2|7f0f1e2d|0123456789abcdef|1764000000"),
)
FOREIGN = tuple(("origin", "http://evil.example") if n == "origin" else (n, v) for n, v in BROWSER)
ANSWER = [(b"content-type", b"application/json"), (b"etag", b'"1"'), (b"content-length", b"2")]

Served = Callable[[Any, Any, Any], Any]
Headers = tuple[tuple[str, str], ...]


def measure() -> list[Row]:
    """Run every measurement of this module; about half a minute."""
    monitor = Monitor(load_settings({}))
    paths = [route.path_regex for route in _routes(monitor)]
    guard = Guard(
        _answer,
        hosts=Hosts(),
        policy=content_policy(STREAMLIT_PAGE.read_bytes()),
        is_api=lambda path: any(regex.match(path) for regex in paths),
        max_viewers=64,
    )
    asked: dict[str, tuple[Served, Headers]] = {
        "plain": (_answer, BROWSER),
        "guarded": (guard, BROWSER),
        "refused": (guard, FOREIGN),
    }
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in asked}
    for _ in range(ROUNDS):  # side by side: the machine has other work
        for name, (served, headers) in asked.items():
            spent[name].append(_each_ms(served, headers))
    cpu, wall = (
        {name: statistics.median(each[clock] for each in spent[name]) for name in asked}
        for clock in (0, 1)
    )
    return [
        Row("an answer without the guard, CPU time", cpu["plain"], "ms"),
        at_most("what the guard adds, CPU time", cpu["guarded"] - cpu["plain"], "ms", 0.05),
        at_most("a refusal, CPU time", cpu["refused"], "ms", 0.05),
        Row("what the guard adds, wall clock", wall["guarded"] - wall["plain"], "ms"),
        Row("a refusal, wall clock", wall["refused"], "ms"),
    ]


def _routes(monitor: Monitor) -> list[Any]:
    from starlette.routing import Route

    api = create_api(monitor)
    return [Route(path, endpoint=api, methods=None) for path in PATHS]


async def _answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": list(ANSWER)})
    await send({"type": "http.response.body", "body": b"{}"})


def _each_ms(served: Served, headers: Headers) -> tuple[float, float]:
    """CPU time and wall clock of one request."""
    raw = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "method": "GET", "path": "/api/status/live", "headers": raw}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        pass

    async def ask() -> tuple[float, float]:
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(ASKS):
            await served(scope, receive, send)
        return time.process_time() - cpu, time.perf_counter() - wall

    cpu_s, wall_s = asyncio.run(ask())
    return cpu_s / ASKS * 1e3, wall_s / ASKS * 1e3
