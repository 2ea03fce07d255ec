"""The processes that answer questions in SQL, one question each. A program of its own.

:mod:`~control_room.history.sql_processes` starts it as ``sql_child.py DESCRIPTOR SETTINGS``. The
first process, the keeper, imports what is needed and never reads a question: it keeps a spare
process that waits for one, hands it over, and ends what is left when the app goes. What answers is
bounded in memory, processor time, files and time, and the kernel ends it before anything else.

It imports nothing of Control Room, so that it starts at once.
"""

from __future__ import annotations

import json
import os
import re
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
_BATCH_ROWS = 2_048
_SPARE_AFTER_MS = 100.0  # so that making it does not slow the question down that it is made after
_DAY_S = 86_400
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
# These reach Arrow changed, or as what no table shows; they are written as DuckDB writes them.
_AS_TEXT = re.compile(
    r"\b(UHUGEINT|BIGNUM|BIT|BLOB|GEOMETRY|VARIANT|INTERVAL|UNION|TIME WITH TIME ZONE)\b"
)
_QUOTED = re.compile(r"\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*'")
_OF_TIME = re.compile(r"\b(DATE|TIME\w*|HUGEINT)\b")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the process that answers may take."""

    timeout_s: float
    max_rows: int
    max_bytes: int
    memory_mb: int  # of address space, beside what it takes before it is asked
    threads: int
    idle_s: float  # without a question, after which all end


class Refused(ValueError):
    """The question is none that is answered."""


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
    keeper = _Keeper(control, Bounds(**told))
    try:
        keeper.serve()
    finally:
        keeper.end_all()


class _Keeper:
    def __init__(self, control: socket.socket, bounds: Bounds) -> None:
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
                _answer_one(theirs, self._bounds)
            status = 0
        finally:
            os._exit(status)


def _answer_one(channel: socket.socket, bounds: Bounds) -> None:
    """Wait for one question and answer it."""
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
        _warm(connection)
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
        table, head = _answer(connection, question, bounds)
    except duckdb.Error as error:
        head = {"error": type(error).__name__, "message": str(error)[:_TOLD_CHARACTERS]}
    except (Refused, MemoryError) as error:
        head = {"error": type(error).__name__, "message": str(error)[:_TOLD_CHARACTERS]}
    _send(asked, head, table)


def _warm(connection: Any) -> None:
    """Ask something, so that the first question finds loaded and mapped what it needs."""
    import pyarrow

    connection.execute("ATTACH ':memory:' AS warm; USE warm; USE memory; DETACH warm")
    connection.execute("BEGIN TRANSACTION READ ONLY")
    relation = connection.sql(
        "SELECT a, count(*) AS n FROM (VALUES ('x'), ('y')) AS t(a) GROUP BY 1"
    )
    table = _shown(relation.limit(10)).to_arrow_reader(_BATCH_ROWS).read_all()
    connection.execute("ROLLBACK")
    _told_whole(connection, table)
    with pyarrow.ipc.new_stream(pyarrow.BufferOutputStream(), table.schema) as writer:
        writer.write_table(table)


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


def _answer(
    connection: Any, question: dict[str, str], bounds: Bounds
) -> tuple[Any, dict[str, Any]]:
    """The rows, and what is told of them."""
    started = time.perf_counter()
    path = question["database"].replace("'", "''")
    connection.execute(f"ATTACH '{path}' AS history (READ_ONLY)")
    connection.execute("USE history")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    statement = _only_select(connection, question["text"])
    connection.execute("BEGIN TRANSACTION READ ONLY")
    relation = connection.sql(statement).limit(bounds.max_rows + 1)
    table, cut_bytes = _within(_shown(relation).to_arrow_reader(_BATCH_ROWS), bounds.max_bytes)
    rows = min(table.num_rows, bounds.max_rows)
    cut_rows = table.num_rows > rows
    table = _told_whole(connection, table.slice(0, rows))
    seconds = time.perf_counter() - started
    return table, {"cut": cut_rows or cut_bytes, "large": cut_bytes, "seconds": seconds}


def _only_select(connection: Any, text: str) -> str:
    import duckdb

    statements = connection.extract_statements(text)
    if len(statements) != 1:
        raise Refused("Ask one question at a time: one statement, without a second after it.")
    statement = statements[0]
    if statement.type != duckdb.StatementType.SELECT:
        raise Refused(
            f"{statement.type.name} is refused: the history is only read here, by SELECT."
        )
    return str(statement.query)


def _shown(relation: Any) -> Any:
    """The relation, with text for the types that Arrow does not take as they are."""
    kinds = [_QUOTED.sub("", str(kind)) for kind in relation.types]
    if not any(map(_AS_TEXT.search, kinds)):
        return relation
    columns = []
    for name, kind in zip(relation.columns, kinds, strict=True):
        quoted = '"' + name.replace('"', '""') + '"'
        cast = f"CAST({quoted} AS VARCHAR) AS {quoted}"
        columns.append(cast if _AS_TEXT.search(kind) else quoted)
    return relation.project(", ".join(columns))


def _within(reader: Any, max_bytes: int) -> tuple[Any, bool]:
    """The rows that take no more than so much, and whether there are more."""
    import pyarrow

    batches: list[Any] = []
    left = max_bytes
    for batch in reader:
        if batch.nbytes > left:
            fitting = _fitting(batch, left)
            if not fitting and not batches:
                raise Refused(
                    f"The first row of the answer takes more than {max_bytes // 2**20} MB "
                    "(history.sql_answer_mb). Ask for less of it, as with left(…, 1000)."
                )
            batches.append(batch.slice(0, fitting))
            return pyarrow.Table.from_batches(batches, reader.schema), True
        batches.append(batch)
        left -= batch.nbytes
    return pyarrow.Table.from_batches(batches, reader.schema), False


def _fitting(batch: Any, size: int) -> int:
    """How many rows from the first take no more than ``size`` bytes."""
    low, high = 0, batch.num_rows
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if batch.slice(0, middle).nbytes <= size else (low, middle - 1)
    return low


def _told_whole(connection: Any, table: Any) -> Any:
    """The rows, with text for columns that hold what no Python value can be."""
    import pyarrow

    for place, field in enumerate(table.schema):
        column = table.column(place)
        if _can_be_told(column):
            continue
        connection.register("told", pyarrow.table({"x": column}))
        text = connection.sql("SELECT CAST(x AS VARCHAR) AS x FROM told").to_arrow_table()
        connection.unregister("told")
        table = table.set_column(place, field.name, text.column("x"))
    return table


def _can_be_told(column: Any) -> bool:
    """Whether its values are within what Python (and so a page, a chart, a file) can tell."""
    import pyarrow

    kind, types = column.type, pyarrow.types
    if types.is_nested(kind):
        try:
            column.to_pylist()
        except (ValueError, OverflowError, pyarrow.ArrowException):
            return False
        return True
    if types.is_decimal(kind):
        try:
            column.validate(full=True)
        except pyarrow.ArrowInvalid:
            return False
        return True
    if types.is_date32(kind):
        return _are_between(column.cast(pyarrow.int32()), _FIRST_DAY, _LAST_DAY)
    if types.is_timestamp(kind):
        per_day = _DAY_S * _PER_SECOND[kind.unit]
        # Of another zone it may be a day earlier or later.
        first, last = (_FIRST_DAY + 1, _LAST_DAY) if kind.tz else (_FIRST_DAY, _LAST_DAY + 1)
        return _are_between(column.cast(pyarrow.int64()), first * per_day, last * per_day - 1)
    if types.is_time64(kind):
        return _are_between(column.cast(pyarrow.int64()), 0, _DAY_S * _PER_SECOND[kind.unit] - 1)
    return True


def _are_between(numbers: Any, low: int, high: int) -> bool:
    import pyarrow.compute

    found = pyarrow.compute.min_max(numbers).as_py()
    return found["min"] is None or low <= found["min"] <= found["max"] <= high


def _receive(source: socket.socket, size: int) -> bytes:
    data = source.recv(size, socket.MSG_WAITALL)
    if len(data) < size:
        os._exit(0)  # nobody waits for an answer any more
    return data


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
