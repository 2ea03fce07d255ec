"""Has questions in SQL answered by processes that may fail, grow and be killed by themselves.

:mod:`~control_room.history.sql.child` is what runs in them. What they send is taken as data: a head
in JSON, and rows in Arrow's format, no more of them than was agreed.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from control_room.extra import load_extra
from control_room.history.sql.question import SqlAnswer, SqlRefused

_CHILD = Path(__file__).with_name("child.py")
_STARTS_WITHIN_S = 60.0  # on a machine that is busy with anything else
_GRACE_S = 1.0  # after the time limit, at which the kernel ends a question
_MAX_TEXT = 100_000
_MAX_HEAD_BYTES = 2**20
_MAX_THREADS = 4  # the trainer's data loaders need some too
# Nothing of the app's environment but what libraries and times depend on.
_PASSED_ON = ("TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_ENVIRONMENT = {
    # Allocators that do not reserve address space, of which there is little, or start threads.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "MALLOC_ARENA_MAX": "2",
}


@dataclass(frozen=True, slots=True)
class SqlLimits:
    """What questions may take. ``memory_mb`` is of address space, half of it DuckDB's own limit."""

    timeout_s: float = 10.0
    max_rows: int = 10_000
    answer_mb: int = 32
    memory_mb: int = 1_024
    at_once: int = 2
    idle_s: float = 300.0  # without a question, after which nothing is kept ready for one


class SqlProcesses:
    """Answers questions, each in a process of its own; one is kept ready for the next.

    Any thread may ask.
    """

    def __init__(self, limits: SqlLimits) -> None:
        self.limits = limits
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(limits.at_once)
        self._keeper: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def warm(self) -> None:
        """Have a process ready for the next question; returns at once."""
        with self._lock:
            self._start()

    @property
    def keeper(self) -> int | None:
        """The id of the process that the others come from, which leads their process group."""
        return None if self._keeper is None else self._keeper.pid

    def ask(self, database: Path, text: str) -> SqlAnswer:
        """The answer to one ``SELECT`` (also ``FROM``, ``WITH``, ``DESCRIBE``, ``SUMMARIZE``).

        Raises :class:`SqlRefused`, from DuckDB's error where that was
        the reason.
        """
        if len(text) > _MAX_TEXT:
            raise SqlRefused(f"A question may have {_MAX_TEXT:,} characters; this has more.")
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise SqlRefused("A question is text in UTF-8; this has half a letter (a surrogate).")
        if not self._slots.acquire(timeout=self.limits.timeout_s):
            raise SqlRefused(
                f"{self.limits.at_once} other questions are being answered. Ask again in a moment."
            )
        try:
            return self._ask(database, text)
        finally:
            self._slots.release()

    def close(self) -> None:
        """End all processes, and the questions with them."""
        with self._lock:
            self._stop()

    def _ask(self, database: Path, text: str) -> SqlAnswer:
        ours, theirs = socket.socketpair()
        ended, end = os.pipe()
        try:
            try:
                self._hand_over(theirs, end)
            finally:
                theirs.close()
                os.close(end)
            return self._answer(ours, ended, {"database": str(database), "text": text})
        finally:
            ours.close()
            os.close(ended)

    def _hand_over(self, asked: socket.socket, end: int) -> None:
        with self._lock:
            for attempt in (1, 2):
                self._start()
                assert self._control is not None
                try:
                    socket.send_fds(self._control, [b"?"], [asked.fileno(), end])
                except OSError:  # it ended, as nobody had asked for long
                    self._stop()
                    if attempt == 2:
                        raise
                else:
                    return

    def _answer(self, ours: socket.socket, ended: int, question: dict[str, str]) -> SqlAnswer:
        message = json.dumps(question).encode()
        try:
            ours.settimeout(_STARTS_WITHIN_S)
            ours.sendall(len(message).to_bytes(4, "big") + message)
            started = bool(ours.recv(1))
            deadline = time.monotonic() + self.limits.timeout_s + _GRACE_S
            data = _all_of(ours, self._most_bytes, deadline) if started else b""
        except TimeoutError:
            self.close()  # it does not end what it should
            raise self._too_long() from None
        except ConnectionError:
            data = b""
        head, size = _head_of(data)
        if "error" in head:
            raise self._refused(str(head["error"]), str(head.get("message")))
        arrow = load_extra("pyarrow")
        try:
            cut, large, seconds = (head[name] for name in ("cut", "large", "seconds"))
            table = arrow.ipc.open_stream(arrow.py_buffer(data)[size:]).read_all()
            table.validate(full=True)
            return SqlAnswer(table, bool(cut), float(seconds), bool(large))
        except (KeyError, ValueError, TypeError, arrow.ArrowException, OSError):
            raise self._ended(ended) from None  # it did not come whole

    @property
    def _most_bytes(self) -> int:
        """Of an answer, as it is sent: text for what has no other form takes more room."""
        return 2 * self.limits.answer_mb * 2**20 + _MAX_HEAD_BYTES

    def _start(self) -> None:
        if self._keeper is not None and self._keeper.poll() is None:
            return
        self._stop()
        limits = self.limits
        told = {
            "paths": _import_paths(),
            "timeout_s": limits.timeout_s,
            "max_rows": limits.max_rows,
            "max_bytes": limits.answer_mb * 2**20,
            "memory_mb": limits.memory_mb,
            "threads": min(_MAX_THREADS, os.cpu_count() or 1),
            "idle_s": limits.idle_s,
        }
        ours, theirs = socket.socketpair()
        kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        try:
            self._keeper = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", "-B", "-W", "ignore"),
                    *(str(_CHILD), str(theirs.fileno()), json.dumps(told)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={**_ENVIRONMENT, **kept},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._control = ours

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._keeper is not None:
            if self._keeper.poll() is None:  # else it has ended the others itself
                with suppress(ProcessLookupError):
                    os.killpg(self._keeper.pid, signal.SIGKILL)
                self._keeper.wait()
            self._keeper = None

    def _refused(self, kind: str, message: str) -> SqlRefused:
        duckdb = load_extra("duckdb")
        if kind in ("MemoryError", "OutOfMemoryException") or "bad_alloc" in message:
            return self._too_large()
        found = getattr(duckdb, kind, None)
        refused = SqlRefused(message)
        if isinstance(found, type) and issubclass(found, duckdb.Error):
            refused.__cause__ = found(message)
        return refused

    def _ended(self, ended: int) -> SqlRefused:
        """Why there is no answer, by how the process ended."""
        ready, _, _ = select.select([ended], [], [], _GRACE_S)
        told = os.read(ended, 20) if ready else b""
        status = int(told) if told.isdigit() else 0
        how = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if how in (signal.SIGALRM, signal.SIGXCPU):
            return self._too_long()
        if how in (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS):
            return self._too_large()
        return SqlRefused(
            "The process that answers questions was ended before it had the answer, as when the "
            "machine has no memory left. Ask again, or for less."
        )

    def _too_long(self) -> SqlRefused:
        return SqlRefused(
            f"The question took longer than {self.limits.timeout_s:g} s and was stopped. Ask for "
            "fewer rows, or raise history.sql_timeout_s."
        )

    def _too_large(self) -> SqlRefused:
        return SqlRefused(
            f"The question needs more memory than it may have, and was stopped. Ask for less at "
            f"once, or raise history.sql_memory_mb ({self.limits.memory_mb:,})."
        )


def _all_of(source: socket.socket, most: int, deadline: float) -> bytes:
    """What comes until the other end closes. Raises ``TimeoutError`` at the deadline."""
    data = bytearray()
    while True:
        source.settimeout(max(0.001, deadline - time.monotonic()))
        part = source.recv(2**18)
        if not part:
            return bytes(data)
        data += part
        if len(data) > most:
            raise SqlRefused("The answer is larger than was agreed, and was not taken.")


def _head_of(data: bytes) -> tuple[dict[str, Any], int]:
    """What is told of the answer, empty when it did not come whole; and where its rows begin."""
    size = 4 + int.from_bytes(data[:4], "big")
    try:
        head = json.loads(data[4:size])
    except ValueError:
        return {}, size
    return (head if isinstance(head, dict) else {}), size


def _import_paths() -> list[str]:
    """Where the libraries are that the other process imports."""
    found = [Path(load_extra(name).__file__).parents[1] for name in ("duckdb", "pyarrow")]
    found.append(Path(load_extra("_duckdb").__file__).parent)
    return list(dict.fromkeys(map(str, found)))
