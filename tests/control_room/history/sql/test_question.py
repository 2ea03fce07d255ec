"""Questions in SQL: answered when they only read, refused when they do anything else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from control_room import Recorder, RunDir
from control_room.history.index import HistoryIndex
from control_room.history.sql.processes import SqlLimits, SqlProcesses
from control_room.history.sql.question import SqlAnswer, SqlRefused, schema_of
from control_room.logs.schema import TABLES
from tests.support import ROOT

COUNT = 20


@pytest.fixture(scope="module", params=["on disk", "in memory"])
def index(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[HistoryIndex]:
    run = RunDir(tmp_path_factory.mktemp("sql") / "run")
    with Recorder(run) as recorder:
        for step in range(COUNT):
            recorder.log_preview(step=step, prompt="p", golden="g", model_answer="a", ce=step / 10)
    database = run.cache / "history.duckdb" if request.param == "on disk" else None
    with HistoryIndex(run, database=database) as opened:
        opened.refresh()
        yield opened


@pytest.fixture(scope="module")
def processes() -> Iterator[SqlProcesses]:
    started = SqlProcesses(SqlLimits(timeout_s=30.0, max_rows=100))
    yield started
    started.close()


Ask = Callable[..., SqlAnswer]


@pytest.fixture
def answer(processes: SqlProcesses) -> Iterator[Ask]:
    with ExitStack() as others:

        def ask(index: HistoryIndex, text: str, **limits: Any) -> SqlAnswer:
            if not limits:
                return index.ask(text, processes)
            other = SqlProcesses(replace(processes.limits, **limits))
            others.callback(other.close)
            return index.ask(text, other)

        yield ask


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("SELECT count(*) AS n FROM previews", [{"n": COUNT}]),
        ("SELECT max(step) AS top FROM previews;", [{"top": COUNT - 1}]),
        ("WITH x AS (SELECT 1 AS a) FROM x -- a remark", [{"a": 1}]),
        ("SELECT step FROM previews ORDER BY ce DESC LIMIT 2", [{"step": 19}, {"step": 18}]),
        ("SELECT 'a; b' AS s", [{"s": "a; b"}]),
    ],
)
def test_reading_is_answered(
    index: HistoryIndex, answer: Ask, text: str, rows: list[dict[str, Any]]
) -> None:
    assert answer(index, text).table.to_pylist() == rows


def test_a_table_can_be_described_and_summed_up(index: HistoryIndex, answer: Ask) -> None:
    assert answer(index, "DESCRIBE previews").table.num_rows > 20
    assert answer(index, "SUMMARIZE previews").table.num_rows > 20


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "FROM '/etc/passwd'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_parquet('https://example.org/x.parquet')",
        "SELECT * FROM duckdb_secrets()",
        "COPY previews TO 'stolen.csv'",
        "COPY previews FROM '/etc/passwd'",
        "EXPORT DATABASE 'stolen'",
        "ATTACH 'other.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '1TB'",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "PRAGMA enable_profiling",
        "SELECT * FROM enable_profiling()",
        "CALL pragma_version()",
        "INSERT INTO previews (step) VALUES (1)",
        "UPDATE previews SET step = 0",
        "DELETE FROM previews",
        "DROP TABLE previews",
        "CREATE TABLE mine (a INTEGER)",
        "CREATE TEMP TABLE mine (a INTEGER)",
        "CHECKPOINT",
        "COMMIT",
        "PREPARE p AS SELECT 1",
        "SELECT 1; DROP TABLE previews",
        "",
        "-- nothing",
        "SELECT",
        "SELECT * FROM no_such_table",
        "SELECT no_such_column FROM previews",
        "banana",
    ],
)
def test_everything_else_is_refused_with_a_reason(
    index: HistoryIndex, answer: Ask, text: str
) -> None:
    with pytest.raises(SqlRefused) as refused:
        answer(index, text)
    assert str(refused.value)
    assert answer(index, "SELECT count(*) AS n FROM previews").table.to_pylist() == [{"n": COUNT}]
    assert not Path("stolen.csv").exists()


def test_variables_of_the_program_are_no_tables(index: HistoryIndex, answer: Ask) -> None:
    mine = answer(index, "SELECT 1 AS a").table
    assert mine.num_rows == 1
    with pytest.raises(SqlRefused):
        answer(index, "SELECT * FROM mine")


def test_more_rows_than_wanted_are_cut_and_said_so(index: HistoryIndex, answer: Ask) -> None:
    cut = answer(index, "FROM range(1000)", max_rows=10)
    assert (cut.table.num_rows, cut.cut) == (10, True)
    whole = answer(index, "FROM range(10)", max_rows=10)
    assert (whole.table.num_rows, whole.cut) == (10, False)


def test_what_takes_too_long_is_stopped_and_disturbs_nobody(
    index: HistoryIndex, answer: Ask
) -> None:
    others: list[int] = []
    cursor = index.cursor()

    def keep_asking(stop: threading.Event) -> None:
        while not stop.is_set():
            others.append(cursor.execute("SELECT count(*) FROM previews").fetchall()[0][0])

    stop = threading.Event()
    asker = threading.Thread(target=keep_asking, args=(stop,))
    asker.start()
    started = time.monotonic()
    with pytest.raises(SqlRefused, match=r"longer than 0\.2 s"):
        answer(
            index,
            "SELECT sum(a.range) FROM range(10_000_000) a, range(10_000_000) b",
            timeout_s=0.2,
        )
    stop.set()
    asker.join()
    assert time.monotonic() - started < 20
    assert others and set(others) == {COUNT}


def test_logging_goes_on_while_somebody_asks(index: HistoryIndex, answer: Ask) -> None:
    assert answer(index, "SELECT count(*) AS n FROM previews").table.num_rows == 1
    assert index.refresh().added == 0


def test_the_schema_names_every_table_and_column(index: HistoryIndex) -> None:
    schema = schema_of(index.cursor())
    assert list(schema) == [*(table.name for table in TABLES.values()), "rejects"]
    assert {"rounds", "notes", "heads"} < set(schema)
    assert schema["previews"]["exact_match"] == "BOOLEAN"
    assert schema["heads"]["grad_norm"] == "DOUBLE[]"


def test_the_guide_names_every_table(index: HistoryIndex) -> None:
    guide = (ROOT / "docs" / "HISTORY.md").read_text(encoding="utf-8")
    about_sql = guide.partition("## SQL")[2].partition("\n## ")[0]
    assert [name for name in schema_of(index.cursor()) if f"`{name}`" not in about_sql] == []
