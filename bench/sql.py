"""Questions in SQL: asked of a process of their own, and in this one."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from bench.history import DAYS, START, log_lines, write_logs
from bench.rows import Row, at_most
from control_room.history.index import HistoryIndex
from control_room.history.sql.processes import SqlLimits, SqlProcesses
from control_room.rundir import RunDir

SIZES = {"100 k": 100_000, "1 M": 1_000_000}
REPEATS = 30
PAUSE_S = 0.3  # as between questions of a person, or longer
QUESTION = "SELECT regime, count(*) AS n, avg(exact_match::INT) AS em FROM previews GROUP BY 1"


def measure() -> list[Row]:
    """What it costs that a question has a process, for indexes of two sizes."""
    rows: list[Row] = []
    for label, count in SIZES.items():
        with tempfile.TemporaryDirectory(prefix="control-room-bench-") as name:
            if shutil.disk_usage(name).free < count * 5_000:
                rows.append(Row(f"{label}: left out, as the disk is too full", 0, ""))
                continue
            run = RunDir(Path(name) / "run")
            write_logs(run, count)
            with HistoryIndex(run, database=run.cache / "history.duckdb") as index:
                while index.refresh().more:
                    pass
                rows += _measure(run, index, label)
    return rows


def _measure(run: RunDir, index: HistoryIndex, label: str) -> list[Row]:
    def direct() -> object:
        return index.cursor().sql(QUESTION).limit(10_001).to_arrow_table()

    def asked(processes: SqlProcesses) -> Callable[[], object]:
        return lambda: index.ask(QUESTION, processes)

    direct()
    cold, opened, ready = [], [], []
    for _ in range(5):
        processes = SqlProcesses(SqlLimits())
        cold.append(_ms(asked(processes)) - _ms(direct))
        processes.close()
        started = time.perf_counter()
        processes.warm()
        opened.append(1e3 * (time.perf_counter() - started))
        time.sleep(1.5)
        ready.append(_ms(asked(processes)) - _ms(direct))
        processes.close()
    processes = SqlProcesses(SqlLimits())
    index.ask(QUESTION, processes)
    directly, later = [], []
    for _ in range(REPEATS):
        time.sleep(PAUSE_S)
        directly.append(_ms(direct))
        later.append(_ms(asked(processes)))
    path = sorted(run.logs("preview").iterdir())[-1]
    upcoming = log_lines(START + timedelta(days=DAYS, hours=1), 1_000_000)
    directly_new, later_new = [], []
    for _ in range(REPEATS):
        with path.open("ab") as file:
            for _ in range(10):
                file.write(next(upcoming))
        index.refresh()
        time.sleep(PAUSE_S)
        directly_new.append(_ms(direct))
        later_new.append(_ms(asked(processes)))
    processes.close()
    median = statistics.median
    return [
        Row(f"{label}: the question in this process", median(directly), "ms"),
        Row(f"{label}: by a process of its own", median(later), "ms"),
        at_most(f"{label}: more than in this process", median(later) - median(directly), "ms", 20),
        at_most(
            f"{label}: more, with 10 new rows between questions",
            median(later_new) - median(directly_new),
            "ms",
            20,
        ),
        Row(f"{label}: what the page waits to have one made ready", median(opened), "ms"),
        at_most(
            f"{label}: first question, page opened 1.5 s before, more", median(ready), "ms", 200
        ),
        Row(f"{label}: first question, nothing ready, more", median(cold), "ms"),
    ]


def _ms(ask: Callable[[], object]) -> float:
    started = time.perf_counter()
    ask()
    return 1e3 * (time.perf_counter() - started)
