"""Questions that take long: few are answered at a time, and the status views do not wait."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import httpx
import pytest

from app.api import create_api
from app.api.turns import MOST_AT_ONCE
from control_room.history.questions import aggregates
from tests.app.api.conftest import log_everything, watched
from tests.support import run_async

CLIENTS = 3 * MOST_AT_ONCE


def test_of_many_who_ask_few_are_answered_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = threading.Lock()
    at_once: list[int] = []
    status_seen: list[int] = []
    running = 0
    statistics = aggregates.statistics
    answers: list[httpx.Response] = []

    def counted(*arguments: object) -> aggregates.Statistics:
        nonlocal running
        with lock:
            running += 1
            at_once.append(running)
        time.sleep(0.1)
        with lock:
            running -= 1
        return statistics(*arguments)  # type: ignore[arg-type]  # as they are given

    monkeypatch.setattr(aggregates, "statistics", counted)

    async def ask() -> None:
        transport = httpx.ASGITransport(create_api(analysed.monitor))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            asked = [
                asyncio.create_task(client.get("/api/analytics/rates")) for _ in range(CLIENTS)
            ]
            await asyncio.sleep(0.05)
            await client.get("/api/status/live")
            status_seen.append(sum(each.done() for each in asked))
            answers.extend(await asyncio.gather(*asked))

    log_everything(tmp_path / "run")
    with watched(tmp_path / "run") as analysed:
        run_async(ask())
        run_async(ask())  # in another event loop, as a second server has one

    assert {each.status_code for each in answers} == {200}
    assert len(answers) == 2 * CLIENTS
    assert max(at_once) <= MOST_AT_ONCE
    assert max(status_seen) <= MOST_AT_ONCE
