"""What looking at other machines costs, here and there, and what one in trouble does to the rest.

The machines are sessions on a real sshd on loopback, with a stand-in nvidia-smi that costs nothing.
"""

from __future__ import annotations

import queue
import shutil
import socket
import statistics
import tempfile
import threading
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import psutil

from app.watch.sources import hush_libraries
from bench.rows import Row, at_most
from collectors.machines.inference_server import ServerWatch
from collectors.machines.ssh import SshWatch
from collectors.machines.ssh_reading import SshReading
from collectors.sampler import Sampler, Source
from control_room.security.address import Address
from tests.collectors.machines.http_stand_in import HttpServer
from tests.collectors.machines.ssh import outputs
from tests.collectors.machines.ssh.sshd import Sshd
from tests.collectors.machines.test_inference_server import native
from tests.support import wait_until

HOSTS = 50
INTERVAL_S = 5.0
WINDOW_S = 60.0
READINGS = 200
DELAY_S = 0.05  # each way, of the slow line
PACE_S = 0.25


def measure() -> list[Row]:
    """Run every measurement of this module; about three minutes."""
    hush_libraries()
    directory = Path(tempfile.mkdtemp(prefix="control-room-bench-"))
    server = Sshd(directory)
    try:
        server.gpus(outputs.RTX_3090, processes=outputs.PROCESSES)
        return [
            *_one_reading(server),
            _round_trips(server),
            *_many(server),
            _pace(server),
            _return(server),
        ]
    finally:
        server.stop()
        shutil.rmtree(directory)


def _watch(server: Sshd) -> SshWatch:
    return SshWatch(server.target, name="bench", interval_s=INTERVAL_S)


def _one_reading(server: Sshd) -> list[Row]:
    watch = _watch(server)
    _ok(watch.read())
    before_s = _spent_s(server)
    took_ms = []
    for _ in range(READINGS):
        began = time.monotonic()
        _ok(watch.read())
        took_ms.append(1000 * (time.monotonic() - began))
    remote_ms = 1000 * (_spent_s(server) - before_s) / READINGS
    watch.close()
    return [
        Row("one reading over SSH", statistics.median(took_ms), "ms"),
        at_most("remote CPU of one reading, nvidia-smi's own left out", remote_ms, "ms", 30),
    ]


def _spent_s(server: Sshd) -> float:
    """CPU seconds of the server, its sessions, and everything they have run and waited for."""
    total = 0.0
    for process in server.processes():
        times = process.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _round_trips(server: Sshd) -> Row:
    """A reading over a line that delays everything, in round trips of that line."""
    with SlowLine(server.port) as line:
        target = replace(server.target, port=line.port, verify_host_key=False)
        watch = SshWatch(target, name="bench")
        _ok(watch.read())
        took_s = []
        for _ in range(10):
            began = time.monotonic()
            _ok(watch.read())
            took_s.append(time.monotonic() - began)
        watch.close()
    return at_most("round trips of one reading", statistics.median(took_s) / (2 * DELAY_S), "", 1.5)


def _many(server: Sshd) -> list[Row]:
    process = psutil.Process()
    before_mb = process.memory_info().rss / 2**20
    watches = [_watch(server) for _ in range(HOSTS)]
    sampler = Sampler(
        [
            Source(f"host {number}", INTERVAL_S, watch.read, watch.close)
            for number, watch in enumerate(watches)
        ]
    )
    sampler.start()

    def all_ok() -> bool:
        readings = [sample.reading for sample in sampler.samples().values()]
        return all(reading is not None and reading.state == "ok" for reading in readings)

    wait_until(all_ok, 60, "all hosts")
    time.sleep(INTERVAL_S)
    cpu_before = process.cpu_times()
    time.sleep(WINDOW_S)
    cpu = process.cpu_times()
    spent_s = cpu.user + cpu.system - cpu_before.user - cpu_before.system
    used_mb = process.memory_info().rss / 2**20 - before_mb
    sampler.stop(timeout_s=20)
    return [
        at_most(f"{HOSTS} hosts every {INTERVAL_S:g} s", 100 * spent_s / WINDOW_S, "% CPU", 30),
        at_most(f"{HOSTS} hosts, more memory than before", used_mb, "MB", 150),
    ]


def _pace(server: Sshd) -> Row:
    """How much longer another source's interval is while three machines are in trouble."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = replace(server.target, port=silent.getsockname()[1])
        web = HttpServer({path: replace(each, delay_s=30) for path, each in native().items()})
        ticks: list[float] = []
        nowhere = replace(server.target, host="203.0.113.1")  # RFC 5737: nobody answers there
        watches = [SshWatch(mute, name="mute"), SshWatch(nowhere, name="nowhere")]
        late = ServerWatch(Address.of(web.url), name="late")
        sampler = Sampler(
            [
                *(Source(f"ssh {n}", INTERVAL_S, w.read, w.close) for n, w in enumerate(watches)),
                Source("late", INTERVAL_S, late.read, late.close),
                Source("status", PACE_S, lambda: ticks.append(time.monotonic())),
            ]
        )
        sampler.start()
        time.sleep(WINDOW_S / 2)
        sampler.stop(timeout_s=20)
        web.stop()
    gaps = [later - earlier for earlier, later in pairwise(ticks)]
    off = [100 * abs(gap - PACE_S) / PACE_S for gap in gaps]
    worst = statistics.quantiles(off, n=100)[98]
    return at_most("p99 deviation of a 0.25 s interval, 3 machines silent", worst, "%", 20)


def _return(server: Sshd) -> Row:
    """From the moment a killed machine listens again to its first reading, in intervals."""
    watch = _watch(server)
    sampler = Sampler([Source("host", INTERVAL_S, watch.read, watch.close)])

    def state() -> str | None:
        reading = sampler.samples()["host"].reading
        return None if reading is None else str(reading.state)

    sampler.start()
    wait_until(lambda: state() == "ok", 20, "the first reading")
    server.stop()
    wait_until(lambda: state() != "ok", 20, "its end")
    time.sleep(3 * INTERVAL_S)
    server.start()
    began = time.monotonic()
    wait_until(lambda: state() == "ok", 60, "its return")
    took = (time.monotonic() - began) / INTERVAL_S
    sampler.stop(timeout_s=20)
    return at_most("a machine that comes back is shown after", took, "intervals", 2)


def _ok(reading: SshReading) -> None:
    if reading.state != "ok":
        raise RuntimeError(f"not measured: {reading.message}")


class SlowLine:
    """Passes bytes on to a port of this machine, each way after DELAY_S."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])

    def __enter__(self) -> SlowLine:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._to_port))
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, sink in ((near, far), (far, near)):
                on_the_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                for work, end in ((_take, source), (_give, sink)):
                    threading.Thread(target=work, args=(end, on_the_way), daemon=True).start()


def _take(source: socket.socket, on_the_way: queue.SimpleQueue[tuple[float, bytes]]) -> None:
    """Note when each piece came; an empty one is the end."""
    data = b"-"
    while data:
        try:
            data = source.recv(2**16)
        except OSError:
            data = b""
        on_the_way.put((time.monotonic(), data))


def _give(sink: socket.socket, on_the_way: queue.SimpleQueue[tuple[float, bytes]]) -> None:
    """Send each piece on when it has been on the way for long enough."""
    while True:
        came_at, data = on_the_way.get()
        time.sleep(max(0.0, came_at + DELAY_S - time.monotonic()))
        if not data:
            sink.close()
            return
        try:
            sink.sendall(data)
        except OSError:
            return
