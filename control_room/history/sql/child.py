"""The processes that answer questions in SQL, one question each. A program of its own.

:mod:`~control_room.history.sql.processes` starts it as ``child.py DESCRIPTOR SETTINGS``. The
first process, the keeper, imports what is needed and never reads a question: it keeps a spare
process that waits for one, hands it over, and ends what is left when the app goes. What answers is
bounded in memory, processor time, files and time, and the kernel ends it before anything else.

It imports nothing of Control Room, so that it starts at once.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

_OPEN_FILES = 32
_TOLD_CHARACTERS = 10_000  # of an error: it may carry any value
_SPARE_AFTER_MS = 100.0  # so that making it does not slow the question down that it is made after


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the process that answers may take."""

    timeout_s: float
    max_rows: int
    max_bytes: int
    memory_mb: int  # of address space, beside what it takes before it is asked
    threads: int
    idle_s: float  # without a question, after which all end


def main() -> None:
    """Serve until the other end of the descriptor is closed, or nobody has asked for long."""
    control = socket.socket(fileno=int(sys.argv[1]))
    told = json.loads(sys.argv[2])
    _first_to_go()
    sys.path += told.pop("paths")
    # pyarrow does without, and importing it takes as long as all the rest.
    sys.modules["numpy"] = None  # type: ignore[assignment]  # documented: forbids the import
    import duckdb  # noqa: F401  # once, for all that is forked
    import pyarrow.compute  # noqa: F401

    for what in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(what, (0, 0))
    keeper = _Keeper(control, Bounds(**told), _beside("answer"))
    try:
        keeper.serve()
    finally:
        keeper.end_all()


class _Keeper:
    def __init__(self, control: socket.socket, bounds: Bounds, answering: Any) -> None:
        self._module = answering
        self._control = control
        self._bounds = bounds
        self._pid = os.getpid()
        self._die_with_parent = _death_signal()
        self._spare: tuple[int, socket.socket] | None = None
        self._spare_failed = False  # the last one ended before it was asked
        self._answering: dict[int, int] = {}  # where the end of each process is told
        self._poll = select.poll()

    def serve(self) -> None:
        woken, wake = os.pipe2(os.O_NONBLOCK) if hasattr(os, "pipe2") else os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._make_spare()
        self._poll.register(self._control, select.POLLIN)
        self._poll.register(woken, select.POLLIN)
        while True:
            wanting = self._spare is None and not self._spare_failed
            wait_ms = _SPARE_AFTER_MS if wanting else 1e3 * self._bounds.idle_s
            ready = dict(self._poll.poll(wait_ms))
            if not ready and wanting:
                self._make_spare()
            elif not ready and not self._answering:
                return
            # First, as their descriptors' numbers are used again once they are reaped.
            for pid, end in self._answering.items():
                if end in ready:  # nobody waits for it any more
                    os.kill(pid, signal.SIGKILL)
            if woken in ready:
                os.read(woken, 4_096)
                self._reap()
            if self._control.fileno() in ready and not self._hand_over():
                return

    def end_all(self) -> None:
        spare = [self._spare[0]] if self._spare is not None else []
        for pid in (*self._answering, *spare):
            os.kill(pid, signal.SIGKILL)

    def _hand_over(self) -> bool:
        """Give the question that came to the spare process; False when no more will come."""
        data, descriptors, *_ = socket.recv_fds(self._control, 1, 2)
        if not data or len(descriptors) != 2:
            return False
        asked, end = descriptors
        if self._spare is None:
            self._make_spare()
        assert self._spare is not None
        pid, channel = self._spare
        self._spare, self._spare_failed = None, False
        with suppress(OSError):  # it is gone, and its end will be told
            socket.send_fds(channel, [b"?"], [asked])
        channel.close()
        os.close(asked)
        self._answering[pid] = end
        self._poll.register(end, 0)
        return True

    def _reap(self) -> None:
        while self._answering or self._spare is not None:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            end = self._answering.pop(pid, None)
            if end is None:
                self._spare, self._spare_failed = None, True  # the next question makes one
                continue
            self._poll.unregister(end)
            with suppress(BrokenPipeError):
                os.write(end, str(status).encode())
            os.close(end)

    def _make_spare(self) -> None:
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid:
            theirs.close()
            self._spare = pid, ours
            return
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            kept = theirs.fileno()
            os.closerange(3, kept)
            os.closerange(kept + 1, 1_024)
            self._die_with_parent()
            if os.getppid() == self._pid:
                _answer_one(theirs, self._bounds, self._module)
            status = 0
        finally:
            os._exit(status)


def _answer_one(channel: socket.socket, bounds: Bounds, answering: Any) -> None:
    """Wait for one question and answer it, with the functions of ``answer``."""
    import duckdb

    _bound_memory(bounds.memory_mb)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{bounds.memory_mb // 2}MB",
            "threads": str(bounds.threads),
            "temp_directory": "",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
        },
    )
    if not select.select([channel], [], [], 0)[0]:  # nobody waits yet
        answering.warm(connection)
    data, descriptors, *_ = socket.recv_fds(channel, 1, 1)
    if not data:
        return
    asked = socket.socket(fileno=descriptors[0])
    question = json.loads(_receive(asked, int.from_bytes(_receive(asked, 4), "big")))
    asked.sendall(b"+")
    _bound_time(bounds)
    head: dict[str, Any]
    table = None
    try:
        table, head = answering.answer(
            connection, question, max_rows=bounds.max_rows, max_bytes=bounds.max_bytes
        )
    except duckdb.Error as error:
        head = {"error": type(error).__name__, "message": str(error)[:_TOLD_CHARACTERS]}
    except (answering.Refused, MemoryError) as error:
        head = {"error": type(error).__name__, "message": str(error)[:_TOLD_CHARACTERS]}
    _send(asked, head, table)


def _send(asked: socket.socket, head: dict[str, Any], table: Any) -> None:
    import pyarrow

    told = json.dumps(head).encode()
    try:
        asked.sendall(len(told).to_bytes(4, "big") + told)
        if table is not None:
            with asked.makefile("wb") as out, pyarrow.ipc.new_stream(out, table.schema) as writer:
                writer.write_table(table)
    except BrokenPipeError:
        pass  # nobody waits for it any more


def _receive(source: socket.socket, size: int) -> bytes:
    data = source.recv(size, socket.MSG_WAITALL)
    if len(data) < size:
        os._exit(0)  # nobody waits for an answer any more
    return data


def _beside(name: str) -> Any:
    """The module of this directory; to import it from Control Room would import that as well."""
    spec = importlib.util.spec_from_file_location(name, f"{os.path.dirname(__file__)}/{name}.py")  # noqa: PTH120
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _first_to_go() -> None:
    """Have the kernel end this process, and what it starts, before any other."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123  # pathlib takes 5 ms
            file.write("1000")
    except OSError:
        pass  # no Linux


def _bound_memory(memory_mb: int) -> None:
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123
            pages = int(file.read().split()[0])
    except OSError:
        return  # no Linux: DuckDB's own limit is all there is
    size = pages * resource.getpagesize() + memory_mb * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def _bound_time(bounds: Bounds) -> None:
    """From now on: the alarm ends the process wherever it is."""
    seconds = int(time.process_time() + bounds.timeout_s * bounds.threads) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, bounds.timeout_s)


def _death_signal() -> Any:
    """A function by which a forked process asks to be killed when its parent ends."""
    if not sys.platform.startswith("linux"):
        return lambda: None
    import ctypes

    prctl = ctypes.CDLL(None).prctl
    set_death_signal = 1  # PR_SET_PDEATHSIG
    return lambda: prctl(set_death_signal, int(signal.SIGKILL), 0, 0, 0)


if __name__ == "__main__":
    main()
