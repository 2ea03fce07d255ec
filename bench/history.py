"""The history index: building it, keeping it up to date, and asking it, beside the plain ways."""

from __future__ import annotations

import gc
import json
import random
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psutil

from bench.rows import Row, at_least, at_most
from control_room.history import queries
from control_room.history.export import csv_chunks
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex
from control_room.history.questions import aggregates
from control_room.logs.recent import RecentPreviews
from control_room.recording.records import PreviewRecord, parse_line
from control_room.rundir import RunDir

SIZES = {"3 k": 3_000, "100 k": 100_000, "1 M": 1_000_000, "10 M": 10_000_000}
LARGEST_PLAIN = 1_000_000  # the plain ways take minutes beyond
DAYS = 30
EDGES = (0, 50, 100, 200)
START = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS_MS = {
    "newest page of 100": (3, 4, 5, 6),
    "page of 100 at offset 50 000": (3, 4, 5, 6),
    "filtered page, with its total": (4, 6, 12, 60),
    "filtered page in the middle, with its total": (4, 6, 12, 60),
    "statistics by regime and source": (3, 5, 12, 100),
    "heatmap": (2, 3, 8, 60),
    "last-20/50/100 aggregates": (0.1, 0.1, 0.1, 0.1),
    "free text, with its total": (2, 15, 150, 1_500),
}


def measure() -> list[Row]:
    """All figures of the history."""
    rows: list[Row] = []
    for place, (label, count) in enumerate(SIZES.items()):
        with tempfile.TemporaryDirectory(prefix="control-room-bench-") as name:
            if shutil.disk_usage(name).free < count * 5_000:
                rows.append(Row(f"{label}: left out, as the disk is too full", 0, ""))
                continue
            rows += _measure_size(RunDir(Path(name) / "run"), label, count, place)
    return rows


def _measure_size(run: RunDir, label: str, count: int, place: int) -> list[Row]:
    write_logs(run, count)
    database = run.cache / "history.duckdb"
    rows = []
    started = time.perf_counter()
    with HistoryIndex(run, database=database) as index:
        while index.refresh().more:
            pass
        seconds = time.perf_counter() - started
        build = f"{label}: index built on disk"
        if count < 100_000:
            rows.append(Row(build, count / seconds, "records/s"))
        else:
            rows.append(at_least(build, count / seconds, "records/s", 100_000))
    rows.append(Row(f"{label}: index file", database.stat().st_size / 2**20, "MB"))
    rows.append(Row(f"{label}: logs", _log_bytes(run) / 2**20, "MB"))
    started = time.perf_counter()
    index = HistoryIndex(run, database=database)
    index.refresh()
    opened_s = time.perf_counter() - started
    limit_s = 0.2 if count <= 1_000_000 else None
    opening = f"{label}: opening the index, with a first look at the logs"
    rows.append(
        at_most(opening, opened_s, "s", limit_s) if limit_s else Row(opening, opened_s, "s")
    )
    with index:
        for name, ask in _questions(index, count).items():
            rows.append(at_most(f"{label}: {name}", median_ms(ask), "ms", LIMITS_MS[name][place]))
        rows += _following(run, index, label)
        if label == "1 M":
            rows += _export(index, label)
    if count <= LARGEST_PLAIN:
        rows += _plain_ways(run, label)
    return rows


def _questions(index: HistoryIndex, count: int) -> dict[str, Callable[[], object]]:
    cursor = index.cursor()
    some = PreviewFilter(regime="regime3", exact_match=False)
    middle = queries.preview_page(cursor, some, limit=1, offset=0).total // 2
    page, none = queries.preview_page, PreviewFilter()
    deep = 50_000 if count > 50_000 else count // 2
    recent = RecentPreviews()
    recent.add(_records(200))
    upcoming = iter(list(_records(100)))

    def one_more() -> object:
        recent.add([next(upcoming)])
        return recent.summary()

    return {
        "newest page of 100": lambda: page(cursor, none, limit=100, offset=0),
        "page of 100 at offset 50 000": lambda: page(cursor, none, limit=100, offset=deep),
        "filtered page, with its total": lambda: page(cursor, some, limit=100, offset=0),
        "filtered page in the middle, with its total": lambda: page(
            cursor, some, limit=100, offset=middle
        ),
        "statistics by regime and source": lambda: aggregates.statistics(cursor, none),
        "heatmap": lambda: aggregates.heatmap(cursor, none, EDGES),
        "last-20/50/100 aggregates": one_more,
        "free text, with its total": lambda: page(
            cursor, PreviewFilter(text="Step 77 "), limit=100, offset=0
        ),
    }


def _following(run: RunDir, index: HistoryIndex, label: str) -> list[Row]:
    """Keeping up with a trainer that appends."""
    cursor, path = index.cursor(), sorted(run.logs("preview").iterdir())[-1]
    nothing_ms = median_ms(index.refresh, repeats=200)
    upcoming = log_lines(START + timedelta(days=DAYS, hours=1), 1_000_000)

    def one() -> None:
        with path.open("ab") as file:
            file.write(next(upcoming))
        index.refresh()
        queries.preview_page(cursor, PreviewFilter(), limit=100, offset=0)

    return [
        at_most(f"{label}: refresh of {DAYS} files with nothing new", nothing_ms, "ms", 0.1),
        at_most(f"{label}: one appended record, on its page", median_ms(one, 40), "ms", 5),
    ]


def _export(index: HistoryIndex, label: str) -> list[Row]:
    cursor, process = index.cursor(), psutil.Process()
    gc.collect()
    before, most, size = process.memory_info().rss, 0, 0
    started = time.perf_counter()
    first_s = 0.0
    for number, chunk in enumerate(csv_chunks(cursor, PreviewFilter())):
        first_s = first_s or time.perf_counter() - started
        size += len(chunk)
        if number % 10 == 0:
            most = max(most, process.memory_info().rss)
    seconds = time.perf_counter() - started
    extra_mb = (most - before) / 2**20
    return [
        at_most(f"{label}: CSV of all rows, memory beside the index", extra_mb, "MB", 100),
        Row(f"{label}: CSV of all rows, first bytes", first_s * 1e3, "ms"),
        Row(f"{label}: CSV of all rows", size / 2**20 / seconds, "MB/s"),
    ]


def _plain_ways(run: RunDir, label: str) -> list[Row]:
    """The same filtered page and statistics, as people do it without an index."""
    paths = sorted(run.logs("preview").iterdir())

    def by_hand() -> object:
        found = []
        for path in paths:
            with path.open("rb") as file:
                for line in file:
                    record = json.loads(line)
                    if record["regime"] == "regime3" and record["exact_match"] is False:
                        found.append(record)
        found.sort(key=lambda record: str(record["ts"]), reverse=True)
        return found[:100], len(found)

    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        source = f"read_json([{', '.join(repr(str(path)) for path in paths)}])"

        def by_read_json() -> object:
            return connection.execute(
                f"SELECT * REPLACE (ts::VARCHAR AS ts), count(*) OVER () FROM {source} "
                "WHERE regime = 'regime3' AND NOT exact_match ORDER BY ts DESC LIMIT 100"
            ).fetchall()

        repeats = 5 if label == "3 k" else 1
        rows = [
            Row(f"{label}: the filtered page by json.loads", median_ms(by_hand, repeats), "ms"),
            Row(f"{label}: the filtered page by read_json", median_ms(by_read_json, repeats), "ms"),
        ]
    with _sqlite(run, paths) as (database, build_s):
        query = (
            "FROM previews WHERE regime = 'regime3' AND exact_match = 0 ORDER BY ts DESC LIMIT 100"
        )

        def by_sqlite() -> object:
            total = database.execute(f"SELECT count(*) {query.split(' ORDER')[0]}").fetchall()
            return database.execute(f"SELECT * {query}").fetchall(), total

        def sqlite_statistics() -> object:
            return [
                database.execute(
                    f"SELECT {group}, sum(exact_match), count(*) FROM previews GROUP BY {group}"
                ).fetchall()
                for group in ("regime", "source_pool")
            ]

        def sqlite_text() -> object:
            return database.execute(
                "SELECT * FROM previews WHERE search LIKE '%step 77 %' ORDER BY ts DESC LIMIT 100"
            ).fetchall()

        rows += [
            Row(f"{label}: SQLite built", build_s, "s"),
            Row(f"{label}: the filtered page by SQLite", median_ms(by_sqlite, 5), "ms"),
            Row(f"{label}: statistics by SQLite", median_ms(sqlite_statistics, 3), "ms"),
            Row(f"{label}: free text by SQLite", median_ms(sqlite_text, 3), "ms"),
        ]
    return rows


@contextmanager
def _sqlite(run: RunDir, paths: list[Path]) -> Iterator[tuple[sqlite3.Connection, float]]:
    names = (
        *("ts", "step", "regime", "source_pool", "prompt", "golden", "model_answer"),
        *("exact_match", "failure_mode", "ce", "golden_tokens"),
    )
    database = sqlite3.connect(run.path / "peer.sqlite")

    def values() -> Iterator[list[Any]]:
        for path in paths:
            with path.open("rb") as file:
                for line in file:
                    record = json.loads(line)
                    texts = [record["prompt"], record["golden"], record["model_answer"]]
                    yield [*(record[name] for name in names), " ".join(texts).lower()]

    started = time.perf_counter()
    database.execute(f"CREATE TABLE previews ({', '.join(names)}, search)")
    database.executemany(
        f"INSERT INTO previews VALUES ({', '.join('?' * (len(names) + 1))})", values()
    )
    database.execute("CREATE INDEX by_time ON previews (ts)")
    database.execute("CREATE INDEX by_match ON previews (regime, exact_match, ts)")
    database.execute("CREATE INDEX by_source ON previews (source_pool, exact_match)")
    database.commit()
    try:
        yield database, time.perf_counter() - started
    finally:
        database.close()


def write_logs(run: RunDir, count: int) -> None:
    """``count`` preview records of about 1.2 KB, over 30 days."""
    directory = run.logs("preview")
    directory.mkdir(parents=True)
    per_day = count // DAYS
    for day in range(DAYS):
        moment = START + timedelta(days=day)
        wanted = per_day if day < DAYS - 1 else count - per_day * (DAYS - 1)
        with run.log_file("preview", moment.date()).open("wb") as file:
            for line in log_lines(moment, wanted):
                file.write(line)


def log_lines(moment: datetime, count: int) -> Iterator[bytes]:
    """Lines as the recorder writes them, from ``moment`` on, ten a second at most."""
    rnd = random.Random(moment.isoformat())
    words = ["".join(rnd.choices("abcdefghijklmnop", k=rnd.randint(3, 9))) for _ in range(3_000)]
    tails = [_tail(rnd, words) for _ in range(2_000)]
    pause = min(0.1, 80_000 / max(count, 1))
    for number in range(count):
        ts = (moment + timedelta(seconds=number * pause)).isoformat(timespec="milliseconds")
        head = f'{{"ts":"{ts}","step":{number // 10},"checkpoint_id":"ckpt_{number // 1000}",'
        example = f'"example_id":"ex_{number % 500:04d}","prompt":"Step {number // 10} of: '
        yield (head + example + tails[number % len(tails)]).encode()


def _tail(rnd: random.Random, words: list[str]) -> str:
    golden = " ".join(rnd.choices(words, k=25))
    right = rnd.random() < 0.6
    mode = "null" if right else f'"{rnd.choice(["wrong_content", "format_error", "repetition"])}"'
    answer = golden if right else golden[:-10] + "x" * 10
    flags = {"answer_start": True, "answer_end": right}
    return (
        f'{" ".join(rnd.choices(words, k=60))}","golden":"{golden}","model_answer":"{answer}",'
        f'"dataset_id":"{rnd.choice(["syllo", "math", "code"])}_v1",'
        f'"regime":"{rnd.choice(["emoji_think", "regime3", "plain_sft"])}",'
        f'"source_pool":"{rnd.choice(["fixed_eval", "train", "failures"])}",'
        f'"exact_match":{json.dumps(right)},"normalized_match":{json.dumps(right)},'
        f'"failure_mode":{mode},"ce":{rnd.random() * 3:.4f},'
        f'"contract_status":{json.dumps(flags)},"prompt_tokens":{rnd.randint(20, 300)},'
        f'"golden_tokens":{rnd.randint(5, 300)},"model_tokens":{rnd.randint(5, 400)},'
        f'"generation_time_ms":{rnd.random() * 900:.1f},"run_id":"bench",'
        f'"pattern":"{rnd.choice(["syllogism", "addition", "counting", "logic"])}"}}\n'
    )


def _records(count: int) -> Iterator[PreviewRecord]:
    return (parse_line(PreviewRecord, line) for line in log_lines(START, count))


def _log_bytes(run: RunDir) -> int:
    return sum(path.stat().st_size for path in run.logs("preview").iterdir())


def median_ms(call: Callable[[], object], repeats: int = 15) -> float:
    """The median of ``repeats`` calls after one to warm up (none where a call takes seconds)."""
    started = time.perf_counter()
    call()
    first = time.perf_counter() - started
    if repeats == 1 or first > 5:
        return first * 1e3
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e3
