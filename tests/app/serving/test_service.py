"""The service manager hears when the app is ready, while it is well, and that it stops.

A real datagram socket listens, as systemd's does, by a path or by an abstract name.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.serving.service import Condition, ServiceManager, service_manager, told_of
from tests.support import PATIENCE_S, ROOT, free_port, run_async, wait_until

WELL = Condition([], is_stuck=False)


def listener(name: str) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    opened.bind(f"\0{name[1:]}" if name.startswith("@") else name)
    opened.settimeout(PATIENCE_S)
    return opened


@pytest.fixture(params=["path", "abstract"])
def name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    abstract = f"@control-room-{secrets.token_hex(8)}"
    return abstract if request.param == "abstract" else str(tmp_path / "notify")


def test_the_real_app_says_that_it_is_ready_well_and_stopping(name: str, tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "app", "--run-dir", str(tmp_path / "run"), "--port", str(port)]
    told = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"}
    with listener(name) as manager, (tmp_path / "log").open("wb") as log:
        app = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **told}, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            assert manager.recv(4096) == b"READY=1"
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as asked:
                asked.sendall(b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n")
                assert asked.recv(4096).startswith(b"HTTP/1.1 ")
            for _ in range(3):
                assert manager.recv(4096) == b"WATCHDOG=1\nSTATUS=Watching"
            app.send_signal(signal.SIGTERM)
            messages = [b""]
            while not messages[-1].startswith(b"STOPPING=1"):
                messages.append(manager.recv(4096))
        finally:
            app.terminate()
            app.wait(timeout=PATIENCE_S)


def test_an_app_that_is_stuck_does_not_feed_the_watchdog(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    found = [WELL]

    async def main(manager: socket.socket) -> None:
        def next_one() -> bytes:
            return manager.recv(4096)

        async with told_of(lambda: found[-1]):
            assert await asyncio.to_thread(next_one) == b"READY=1"
            assert await asyncio.to_thread(next_one) == b"WATCHDOG=1\nSTATUS=Watching"
            found.append(Condition(["gpu: no answer for 70 s"], is_stuck=False))
            while b"Failing" not in (message := await asyncio.to_thread(next_one)):
                pass
            assert message == b"WATCHDOG=1\nSTATUS=Failing: gpu: no answer for 70 s"
            found.append(Condition(["history: no answer for 70 s"], is_stuck=True))
            while b"WATCHDOG=1" in (message := await asyncio.to_thread(next_one)):
                pass
            assert message == b"STATUS=Failing: history: no answer for 70 s"
            found.append(WELL)
            while message.startswith(b"STATUS=Failing"):
                message = await asyncio.to_thread(next_one)
            assert message.startswith(b"WATCHDOG=1")
        while message != b"STOPPING=1\nSTATUS=Stopping":
            message = next_one()

    with listener(name) as manager, socket.create_server(("127.0.0.1", 0)):
        run_async(main(manager))


def test_nobody_is_told_where_nobody_asks() -> None:
    assert service_manager({}) is None
    assert service_manager({"NOTIFY_SOCKET": ""}) is None
    assert service_manager({"NOTIFY_SOCKET": "vsock:2:1234"}) is None


def test_the_watchdog_is_fed_by_whom_it_is_meant_for() -> None:
    told = {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "30000000"}
    assert service_manager(told) == ServiceManager("/run/notify", 30.0)
    assert service_manager({**told, "WATCHDOG_PID": str(os.getpid())}) is not None
    for other in ({"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}):
        found = service_manager({**told, **other})
        assert found is not None
        assert found.watchdog_s is None, other


def test_a_manager_that_is_gone_or_does_not_listen_holds_nobody_up(tmp_path: Path) -> None:
    gone = ServiceManager(str(tmp_path / "nobody"))
    assert not gone.tell("READY=1")
    name = str(tmp_path / "full")
    with listener(name):
        full = ServiceManager(name)
        started = time.monotonic()
        wait_until(lambda: not full.tell("STATUS=" + "x" * 1000), what="a full queue")
        assert not full.tell("WATCHDOG=1")
        assert time.monotonic() - started < PATIENCE_S
