"""One question in SQL cannot take the machine, the app, or anything but its own answer."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from control_room import Recorder, RunDir
from control_room.history.index import HistoryIndex
from control_room.history.sql.processes import SqlLimits, SqlProcesses
from control_room.history.sql.question import SqlAnswer, SqlRefused
from tests.support import PATIENCE_S, ROOT, serving_app, wait_until

COUNT = 300
LIMITS = SqlLimits(timeout_s=8.0, memory_mb=512)
MOST_GROWTH_MB = 100
SECRET = "a-secret-of-the-environment"
COUNTED = "SELECT count(*) AS n FROM previews"
ENDLESS = "SELECT sum(a.range * b.range) FROM range(10_000_000) a, range(10_000_000) b"
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="told by /proc")


def a_run(path: Path, count: int = COUNT) -> RunDir:
    run = RunDir(path)
    with Recorder(run) as recorder:
        for step in range(count):
            recorder.log_preview(step=step, prompt=f"p {step}", golden="g", model_answer="a")
    return run


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HistoryIndex]:
    run = a_run(tmp_path_factory.mktemp("attacked") / "run")
    with HistoryIndex(run, database=run.cache / "history.duckdb") as opened:
        while opened.refresh().more:
            pass
        yield opened


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlProcesses]:
    monkeypatch.setenv("CONTROL_ROOM_SECRET", SECRET)
    started = SqlProcesses(LIMITS)
    yield started
    started.close()


@pytest.fixture
def quick(processes: SqlProcesses) -> Iterator[SqlProcesses]:
    started = SqlProcesses(replace(LIMITS, timeout_s=0.5))
    yield started
    started.close()


def answered_as_ever(index: HistoryIndex, processes: SqlProcesses) -> bool:
    return bool(index.ask(COUNTED, processes).table.to_pylist() == [{"n": COUNT}])


class Growth:
    """The most memory that this process has taken beyond what it had."""

    def __init__(self) -> None:
        gc.collect()
        self._me = psutil.Process()
        self._before = self._me.memory_info().rss
        self.most_mb = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over.wait(0.005):
            grown = (self._me.memory_info().rss - self._before) / 2**20
            self.most_mb = max(self.most_mb, grown)

    def __enter__(self) -> Growth:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@pytest.mark.parametrize(
    "text",
    [
        "SELECT repeat('x', 2000000000)",
        "SELECT damerau_levenshtein(repeat('a', 30000), repeat('b', 30000))",
        "SELECT array_to_string(range(50000000), ',')",
        "SELECT repeat('x', 20000000) FROM range(1000)",
        "SELECT string_agg(repeat('x', 1000000), '') FROM range(10000)",
        "SELECT list(range) FROM range(1000000000)",
        "SELECT range(1000000000)",
        "SELECT bitstring('1', 2000000000)",
        "SELECT lpad('', 2000000000, 'x')",
        "SELECT format('{:>2000000000}', 'x')",
        "SELECT count(*) FROM (SELECT DISTINCT md5(range::VARCHAR) FROM range(1000000000))",
    ],
)
def test_a_question_for_more_memory_than_there_is_takes_none_of_the_app(
    index: HistoryIndex, processes: SqlProcesses, text: str
) -> None:
    answered_as_ever(index, processes)
    with Growth() as growth, pytest.raises(SqlRefused, match=r"memory|longer|first row|[Ii]nvalid"):
        index.ask(text, processes)
    assert growth.most_mb < MOST_GROWTH_MB
    assert answered_as_ever(index, processes)


@pytest.mark.parametrize(
    "text",
    [
        "WITH RECURSIVE t AS (SELECT 1 AS a UNION ALL SELECT a FROM t) SELECT sum(a) FROM t",
        ENDLESS,
        "SELECT count(*) FROM previews a, previews b, previews c, previews d, previews e",
        "SELECT sum(range) FROM range(1000000000000)",
        "EXPLAIN ANALYZE " + ENDLESS,
        "SELECT max(hash(i)) FROM range(100000000000) t(i)",
    ],
)
def test_a_question_without_end_is_stopped_at_its_time(
    index: HistoryIndex, quick: SqlProcesses, text: str
) -> None:
    quick.warm()
    started = time.monotonic()
    with pytest.raises(SqlRefused, match=r"longer than 0\.5 s|EXPLAIN"):
        index.ask(text, quick)
    assert time.monotonic() - started < PATIENCE_S


def test_the_answer_to_a_text_pattern_that_explodes_takes_no_time(
    index: HistoryIndex, processes: SqlProcesses
) -> None:
    text = f"SELECT regexp_matches('{'a' * 5_000}!', '(a+)+$') AS found"
    assert index.ask(text, processes).table.to_pylist() == [{"found": False}]


def test_a_long_answer_is_cut_at_its_bytes_and_said_so(
    index: HistoryIndex, processes: SqlProcesses
) -> None:
    with Growth() as growth:
        answer = index.ask("SELECT repeat('x', 100000) AS long FROM range(1000)", processes)
    assert answer.cut and answer.large
    assert 0 < answer.table.nbytes <= LIMITS.answer_mb * 2**20
    assert growth.most_mb < MOST_GROWTH_MB


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/proc/self/environ')",
        "SELECT * FROM read_blob('/etc/hostname')",
        "FROM '/etc/passwd'",
        "SELECT * FROM glob('/**')",
        "SELECT * FROM 'https://example.org/x.parquet'",
        "ATTACH 'other.duckdb'",
        "ATTACH ':memory:' AS mine",
        "DETACH history",
        "USE memory",
        "COPY previews TO 'stolen.csv'",
        "COPY (SELECT 1) TO '/tmp/stolen.csv'",
        "EXPORT DATABASE 'stolen'",
        "INSTALL httpfs",
        "LOAD '/tmp/evil.duckdb_extension'",
        "SET enable_external_access = true",
        "SET memory_limit = '1TB'",
        "SET threads = 1000",
        "PRAGMA memory_limit = '1TB'",
        "PRAGMA enable_profiling",
        "CALL pragma_version()",
        "SELECT getenv('CONTROL_ROOM_SECRET')",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "SELECT 1; DROP TABLE previews",
        "INSERT INTO previews (step) VALUES (1)",
        "UPDATE previews SET step = 0",
        "DELETE FROM previews",
        "DROP TABLE previews",
        "CREATE TABLE memory.main.mine (a INTEGER)",
        "CREATE MACRO f() AS 1",
        "CHECKPOINT",
        "VACUUM",
        "SELECT '" + "x" * 200_000 + "'",
        "\x00",
        "SELECT '\ud800'",
    ],
)
def test_nothing_but_reading_the_tables_is_allowed(
    index: HistoryIndex, processes: SqlProcesses, text: str
) -> None:
    with pytest.raises(SqlRefused) as refused:
        index.ask(text, processes)
    assert str(refused.value)
    assert SECRET not in str(refused.value)
    assert not Path("/tmp/stolen.csv").exists()
    assert answered_as_ever(index, processes)


def test_a_question_that_is_no_text_is_told_so(
    index: HistoryIndex, processes: SqlProcesses
) -> None:
    with pytest.raises(SqlRefused, match="surrogate"):
        index.ask("SELECT '\ud800'", processes)


def asking(index: HistoryIndex, processes: SqlProcesses, text: str = ENDLESS) -> threading.Thread:
    """Somebody who asks; what comes of it is in ``thread.name`` when it has ended."""

    def ask() -> None:
        try:
            thread.name = str(index.ask(text, processes).table.to_pylist())
        except SqlRefused as refused:
            thread.name = str(refused)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def busy(processes: SqlProcesses) -> list[psutil.Process]:
    """The processes that are at a question."""
    keeper = processes.keeper
    if keeper is None:
        return []
    try:
        children = psutil.Process(keeper).children()
        return [each for each in children if each.cpu_times().user > 0.3]
    except psutil.NoSuchProcess:
        return []


def test_a_process_that_is_killed_at_its_question_is_told_and_the_next_one_answers(
    index: HistoryIndex, processes: SqlProcesses
) -> None:
    asked = asking(index, processes)
    wait_until(lambda: bool(busy(processes)), what="a process at the question")
    busy(processes)[0].kill()
    asked.join(PATIENCE_S)
    assert "was ended before it had the answer" in asked.name
    assert answered_as_ever(index, processes)


def test_the_keeper_killed_takes_its_questions_along_and_the_next_one_answers(
    index: HistoryIndex, processes: SqlProcesses
) -> None:
    asked = asking(index, processes)
    wait_until(lambda: bool(busy(processes)), what="a process at the question")
    children = busy(processes)
    assert processes.keeper is not None
    os.kill(processes.keeper, signal.SIGKILL)
    asked.join(PATIENCE_S)
    assert "was ended before" in asked.name
    wait_until(lambda: not any(each.is_running() for each in children), what="their end")
    assert answered_as_ever(index, processes)


@linux
def test_what_answers_has_nothing_of_the_apps(index: HistoryIndex, processes: SqlProcesses) -> None:
    asked = asking(index, processes)
    wait_until(lambda: bool(busy(processes)), what="a process at the question")
    child = busy(processes)[0]
    proc = Path("/proc") / str(child.pid)
    limits = (proc / "limits").read_text()
    rows = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()[1:]}
    assert SECRET not in (proc / "environ").read_text()
    assert (proc / "oom_score_adj").read_text().strip() == "1000"
    assert os.getsid(child.pid) != os.getsid(0)
    assert rows["Max core file size"] == rows["Max file size"] == "0"
    assert int(rows["Max open files"]) <= 32
    assert int(rows["Max address space"]) < 2**30
    assert int(rows["Max cpu time"]) <= LIMITS.timeout_s * 4 + 10
    # Its own question, the database, and nothing: no socket that listens, no file of the app.
    opened = [str(each.readlink()) for each in (proc / "fd").iterdir()]
    assert not child.net_connections("inet")
    known = ("/dev/null", "history.duckdb", "history.duckdb.wal", "/dev/urandom")
    strange = [each for each in opened if not each.startswith("socket:")]
    assert [each for each in strange if not each.endswith(known) and "anon_inode" not in each] == []
    child.kill()
    asked.join(PATIENCE_S)


def test_of_twenty_at_once_two_are_answered_and_the_others_wait_or_are_told(
    index: HistoryIndex, quick: SqlProcesses
) -> None:
    most = 0

    def outcome(_: int) -> str:
        try:
            index.ask(ENDLESS, quick)
        except SqlRefused as refused:
            return str(refused)
        return "answered"

    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(outcome, number) for number in range(20)]
        while not all(each.done() for each in waiting):
            most = max(most, len(busy(quick)))
            time.sleep(0.01)
    told = {each.result() for each in waiting}
    assert most <= quick.limits.at_once
    assert all("longer than" in each or "again in a moment" in each for each in told), told


def test_what_nobody_waits_for_is_ended(index: HistoryIndex, processes: SqlProcesses) -> None:
    asked = asking(index, processes)
    wait_until(lambda: bool(busy(processes)), what="a process at the question")
    children = busy(processes)
    processes.close()
    asked.join(PATIENCE_S)
    wait_until(lambda: not any(each.is_running() for each in children), what="their end")


def test_nothing_is_kept_ready_when_nobody_asks_for_long(index: HistoryIndex) -> None:
    processes = SqlProcesses(replace(LIMITS, idle_s=0.2))
    assert answered_as_ever(index, processes)
    keeper = processes.keeper
    assert keeper is not None

    def is_over() -> bool:
        try:
            return psutil.Process(keeper).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    wait_until(is_over, what="the end of the process that is kept ready")
    assert answered_as_ever(index, processes)
    processes.close()


def test_what_is_written_while_somebody_asks_changes_no_answer(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", 50)
    database = run.cache / "history.duckdb"
    processes = SqlProcesses(LIMITS)
    with HistoryIndex(run, database=database) as index, Recorder(run) as recorder:
        index.refresh()
        for step in range(50, 90):
            recorder.log_preview(step=step, prompt="x" * 100_000, golden="g", model_answer="a")
            index.refresh()
            # Nothing is missing of what was there when it was asked, and nothing is torn.
            text = "SELECT count(*) AS n, count(DISTINCT seq) AS d, max(step) AS top FROM previews"
            want = [{"n": step + 1, "d": step + 1, "top": step}]
            assert index.ask(text, processes).table.to_pylist() == want
            if step % 7 == 0:
                index._connection.cursor().execute("CHECKPOINT")
    processes.close()


def test_a_file_put_in_order_under_a_question_is_asked_again(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", 50)
    processes = SqlProcesses(LIMITS)
    asked: list[object] = []
    with HistoryIndex(run, database=run.cache / "history.duckdb") as index:
        index.refresh()

        class Disturbed(SqlProcesses):
            def ask(self, database: Path, text: str) -> SqlAnswer:
                answer = processes.ask(database, text)
                if not asked:
                    index._connection.cursor().execute("CREATE TABLE other AS FROM range(9)")
                    index._connection.cursor().execute("CHECKPOINT")
                asked.append(answer.table.to_pylist())
                return answer

        index.ask(COUNTED, Disturbed(LIMITS))
    processes.close()
    assert asked == [[{"n": 50}], [{"n": 50}]]


def test_another_program_still_cannot_write_while_somebody_asks(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", 20)
    database = run.cache / "history.duckdb"
    write = [sys.executable, "-c", f"import duckdb; duckdb.connect({str(database)!r})"]
    processes = SqlProcesses(replace(LIMITS, timeout_s=5.0))
    with HistoryIndex(run, database=database) as index:
        index.refresh()
        asked = asking(index, processes)
        wait_until(lambda: bool(busy(processes)), what="a process at the question")
        told = subprocess.run(write, capture_output=True, text=True, check=False)
        assert "lock" in told.stderr
        asked.join(PATIENCE_S)
        told = subprocess.run(write, capture_output=True, text=True, check=False)
        assert "lock" in told.stderr
    processes.close()


def test_a_copy_of_an_index_in_memory_is_private_alone_and_gone_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    left = tmp_path / "tmp" / "control-room-sql-999999999-x"
    left.mkdir()
    run = a_run(tmp_path / "run", 20)
    processes = SqlProcesses(LIMITS)
    with HistoryIndex(run) as index, Recorder(run) as recorder:
        for step in range(20, 23):
            recorder.log_preview(step=step, prompt="p", golden="g", model_answer="a")
            index.refresh()
            assert index.ask(COUNTED, processes).table.to_pylist() == [{"n": step + 1}]
            copies = list((tmp_path / "tmp").iterdir())
            assert len(copies) == 1 and copies != [left]
            assert copies[0].stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "tmp").iterdir()) == []
    processes.close()


def test_a_copy_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    processes = SqlProcesses(LIMITS)
    with HistoryIndex(a_run(tmp_path / "run", 20)) as index:
        index.refresh()
        with pytest.raises(SqlRefused, match="held in memory, and the copy"):
            index.ask(COUNTED, processes)
    processes.close()


_APP = """
import json, sys, threading, time
from pathlib import Path
from control_room import RunDir
from control_room.history.index import HistoryIndex
from control_room.history.sql.processes import SqlLimits, SqlProcesses
run = RunDir(Path(sys.argv[1]))
processes = SqlProcesses(SqlLimits(timeout_s=300.0))
index = HistoryIndex(run, database=run.cache / "history.duckdb")
index.refresh()
threading.Thread(target=index.ask, args=(sys.argv[2], processes), daemon=True).start()
while processes.keeper is None:
    time.sleep(0.01)
print(processes.keeper, flush=True)
time.sleep(600)
"""


def test_the_app_killed_leaves_no_process_and_can_be_started_again_at_once(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", 20)
    app = subprocess.Popen(
        [sys.executable, "-c", _APP, str(run.path), ENDLESS],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert app.stdout is not None
    keeper = psutil.Process(int(app.stdout.readline()))

    def at_it() -> list[psutil.Process]:
        return [each for each in keeper.children() if each.cpu_times().user > 0.3]

    wait_until(lambda: bool(at_it()), what="a process at the question")
    family = [keeper, *keeper.children()]
    app.kill()
    app.wait()
    with HistoryIndex(run, database=run.cache / "history.duckdb") as again:
        again.refresh()
        assert again.cursor().execute("SELECT count(*) FROM previews").fetchone() == (20,)
    _, alive = psutil.wait_procs(family, timeout=PATIENCE_S)
    assert not alive
    app.stdout.close()


@linux
def test_the_app_goes_before_the_trainer(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", 5)
    with serving_app(run.path, tmp_path / "log"):
        mine = [
            each
            for each in psutil.Process().children(recursive=True)
            if str(run.path) in each.cmdline()
        ]
        adjusted = [Path(f"/proc/{each.pid}/oom_score_adj").read_text().strip() for each in mine]
    assert adjusted and set(adjusted) == {"600"}


def test_a_child_that_says_what_it_likes_is_not_believed(index: HistoryIndex) -> None:
    """What answers may be taken over: whatever it sends is an answer, a refusal, or too much."""
    for sent in (
        b"",
        b"+",
        b"+\x00\x00\x00\x05{}",
        b"+\x00\x00\x00\x02{}",
        b"+\x00\x00\x00\x02[]",
        b'+\x00\x00\x00\x20{"cut":0,"large":0,"seconds":"x"}garbage',
        b'+\x00\x00\x00\x13{"error":1,"a":[1]}',
        b"+" + b"\xff" * 2**20 * 70,
    ):
        processes = SqlProcesses(LIMITS)
        ours, theirs = socket.socketpair()
        ended, end = os.pipe()

        def say(sent: bytes = sent, theirs: socket.socket = theirs) -> None:
            size = int.from_bytes(theirs.recv(4, socket.MSG_WAITALL), "big")
            theirs.recv(size, socket.MSG_WAITALL)
            with suppress(OSError):
                theirs.sendall(sent)
            theirs.close()

        thread = threading.Thread(target=say)
        thread.start()
        with Growth() as growth, pytest.raises(SqlRefused):
            processes._answer(ours, ended, {"database": "x", "text": "y"})
        ours.close()
        os.close(ended)
        os.close(end)
        thread.join()
        assert growth.most_mb < 2 * MOST_GROWTH_MB
