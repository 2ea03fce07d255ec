"""The history index: the same rows as the logs hold, however they came and wherever it stopped."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_room import Recorder, RunDir
from control_room.history.index import HistoryIndex, IndexInUse
from control_room.logs.patterns import PatternRule, PatternRules
from tests.support import ROOT

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def line(step: int, second: int | None = None, **fields: object) -> bytes:
    ts = START + timedelta(seconds=step if second is None else second)
    record = {"ts": ts.isoformat(), "step": step, "prompt": "p", "golden": "g", "model_answer": "a"}
    return json.dumps(record | fields).encode() + b"\n"


def log(run: RunDir, day: str = "2026-01-01") -> Path:
    path = run.logs("preview") / f"preview_history_{day}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def rows(index: HistoryIndex) -> list[tuple[Any, ...]]:
    return index.cursor().execute("SELECT * FROM previews ORDER BY seq").fetchall()


def steps(index: HistoryIndex) -> list[int]:
    found = index.cursor().execute("SELECT step FROM previews ORDER BY seq").fetchall()
    return [step for (step,) in found]


def rejects(index: HistoryIndex) -> list[tuple[Any, ...]]:
    query = "SELECT file, line, reason FROM rejects ORDER BY file, line"
    return index.cursor().execute(query).fetchall()


def built_at_once(run: RunDir) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    with HistoryIndex(run) as index:
        while index.refresh().more:
            pass
        return rows(index), rejects(index)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "run")


@pytest.fixture
def index(run: RunDir) -> Iterator[HistoryIndex]:
    with HistoryIndex(run) as opened:
        yield opened


def test_what_the_recorder_logs_is_in_the_tables(run: RunDir, index: HistoryIndex) -> None:
    with Recorder(run) as recorder:
        recorder.log_preview(
            step=5,
            prompt="All men",
            golden="Mortal",
            model_answer="mortal!",
            exact_match=False,
            contract_status={"emoji_prefix": True},
        )
        recorder.log_metrics(step=5, loss=float("nan"))
        recorder.log_throughput(step=5, tokens_per_sec=100.0)
    assert index.refresh().added == 3
    cursor = index.cursor()
    query = "SELECT step, exact_match, contract_status, search, run_id, seq FROM previews"
    assert cursor.execute(query).fetchall() == [
        (5, False, {"emoji_prefix": True}, "all men\x1fmortal\x1fmortal!", "run", 1)
    ]
    assert cursor.execute("SELECT isnan(loss) FROM metrics").fetchall() == [(True,)]
    assert cursor.execute("SELECT tokens_per_sec FROM throughput").fetchall() == [(100.0,)]
    assert index.refresh().added == 0


def test_lines_that_cannot_be_read_are_kept_aside_with_file_line_and_reason(
    run: RunDir, index: HistoryIndex
) -> None:
    append(log(run), line(1) + b"garbage\n" + b'{"step": "x"}\n' + b"[1]\n" + line(2) + b'{"torn')
    assert index.refresh().rejected == 3
    assert steps(index) == [1, 2]
    assert [(file, number) for file, number, _ in rejects(index)] == [
        ("preview_history_2026-01-01.jsonl", 2),
        ("preview_history_2026-01-01.jsonl", 3),
        ("preview_history_2026-01-01.jsonl", 4),
    ]


def test_records_out_of_time_order_are_put_in_order(run: RunDir, index: HistoryIndex) -> None:
    append(log(run), line(1, 10) + line(2, 30))
    index.refresh()
    append(log(run), line(3, 20) + line(4, 30))
    index.refresh()
    assert steps(index) == [1, 3, 2, 4]
    assert [row[0] for row in rows(index)] == [1, 2, 3, 4]


def test_a_file_cut_short_is_read_again(run: RunDir, index: HistoryIndex) -> None:
    append(log(run), line(1) + line(2) + b"bad\n")
    index.refresh()
    log(run).write_bytes(line(7))
    index.refresh()
    assert steps(index) == [7]
    assert rejects(index) == []


def test_a_deleted_day_leaves_the_tables(run: RunDir, index: HistoryIndex) -> None:
    append(log(run), line(1))
    append(log(run, "2026-01-02"), line(100_000))
    index.refresh()
    log(run).unlink()
    index.refresh()
    assert steps(index) == [100_000]
    assert [row[0] for row in rows(index)] == [1]


def test_an_archive_of_an_indexed_day_adds_nothing(run: RunDir, index: HistoryIndex) -> None:
    append(log(run), line(1) + line(2))
    index.refresh()
    archive = log(run).with_suffix(".jsonl.gz")
    archive.write_bytes(gzip.compress(log(run).read_bytes()))
    index.refresh()
    assert steps(index) == [1, 2]
    log(run).unlink()
    index.refresh()
    assert steps(index) == [1, 2]
    archive.unlink()
    index.refresh()
    assert steps(index) == []


def test_an_archive_alone_is_read_once(run: RunDir, index: HistoryIndex) -> None:
    log(run).with_suffix(".jsonl.gz").write_bytes(gzip.compress(line(1) + b"bad\n" + line(2)))
    assert index.refresh().added == 2
    assert index.refresh().added == 0
    assert steps(index) == [1, 2]
    assert [number for _, number, _ in rejects(index)] == [2]


def test_a_truncated_archive_gives_what_can_be_read_and_says_so(
    run: RunDir, index: HistoryIndex
) -> None:
    data = gzip.compress(b"".join(line(step) for step in range(2_000)))
    log(run).with_suffix(".jsonl.gz").write_bytes(data[: len(data) // 2])
    append(log(run, "2026-01-02"), line(100_000))
    result = index.refresh()
    assert any("is damaged" in problem for problem in result.problems)
    assert any("is damaged" in problem for problem in index.refresh().problems)
    assert steps(index)[-1] == 100_000


def test_a_mended_archive_is_read_again(run: RunDir) -> None:
    database = run.cache / "history.duckdb"
    data = gzip.compress(b"".join(line(step) for step in range(2_000)))
    archive = log(run).with_suffix(".jsonl.gz")
    archive.write_bytes(data[: len(data) // 2])
    with HistoryIndex(run, database=database) as index:
        index.refresh()
    with HistoryIndex(run, database=database) as index:
        assert any("is damaged" in problem for problem in index.refresh().problems)
        archive.write_bytes(data)
        assert index.refresh().problems == ()
        assert steps(index) == list(range(2_000))


def test_a_pattern_is_the_records_own_or_the_rules(run: RunDir) -> None:
    append(log(run), line(1, pattern="mine") + line(2, dataset_id="syllo_v3") + line(3))
    rules = PatternRules([PatternRule("syllogism", datasets=("syllo_*",))])
    with HistoryIndex(run, rules=rules) as index:
        index.refresh()
        found = index.cursor().execute("SELECT pattern FROM previews ORDER BY seq").fetchall()
    assert found == [("mine",), ("syllogism",), ("other",)]


def test_on_disk_it_goes_on_where_it_stopped(run: RunDir) -> None:
    database = run.cache / "history.duckdb"
    append(log(run), line(1) + b'{"half')
    with HistoryIndex(run, database=database) as index:
        assert index.refresh().added == 1
    log(run).write_bytes(line(1) + line(2))
    with HistoryIndex(run, database=database) as index:
        assert index.refresh().added == 1
        assert steps(index) == [1, 2]


@pytest.mark.parametrize("damage", [b"not a database", b""])
def test_a_damaged_cache_is_built_again(run: RunDir, damage: bytes) -> None:
    database = run.cache / "history.duckdb"
    append(log(run), line(1))
    with HistoryIndex(run, database=database) as index:
        index.refresh()
    database.write_bytes(damage)
    with HistoryIndex(run, database=database) as index:
        index.refresh()
        assert steps(index) == [1]


def test_a_cache_of_another_version_is_built_again(run: RunDir) -> None:
    database = run.cache / "history.duckdb"
    append(log(run), line(1))
    with HistoryIndex(run, database=database) as index:
        index.refresh()
        index.cursor().execute("UPDATE about SET made_for = '0'")
        index.cursor().execute("DELETE FROM previews")
    with HistoryIndex(run, database=database) as index:
        index.refresh()
        assert steps(index) == [1]


def test_a_second_process_is_told_who_has_it(run: RunDir) -> None:
    database = run.cache / "history.duckdb"
    script = (
        "import sys; from pathlib import Path; from control_room import RunDir\n"
        "from control_room.history.index import HistoryIndex\n"
        "index = HistoryIndex(RunDir(Path(sys.argv[1])), database=Path(sys.argv[2]))\n"
        "print('open', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(run.path), str(database)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(IndexInUse, match="open in another process"):
            HistoryIndex(run, database=database)
        assert database.exists()
        assert holder.stdin is not None
        holder.stdin.close()


def test_a_process_killed_at_work_leaves_an_index_that_goes_on(run: RunDir) -> None:
    database = run.cache / "history.duckdb"
    append(log(run), b"".join(line(step) for step in range(50)))
    script = (
        "import os, sys; from pathlib import Path; from control_room import RunDir\n"
        "from control_room.history.index import HistoryIndex\n"
        "index = HistoryIndex(RunDir(Path(sys.argv[1])), database=Path(sys.argv[2]))\n"
        "index.refresh(); os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, str(run.path), str(database)], cwd=ROOT, check=False
    )
    assert killed.returncode == -9
    append(log(run), line(50))
    with HistoryIndex(run, database=database) as index:
        index.refresh()
        assert steps(index) == list(range(51))


pieces = st.one_of(
    st.builds(line, st.integers(0, 99), st.integers(0, 99)),
    st.sampled_from([b"garbage\n", b"\n", b"[1]\n", b"\xff\xfe\n", b"\x00\n", b'{"step": 1}\n']),
)


@settings(max_examples=25, deadline=None)
@given(
    stream=st.lists(pieces, max_size=12).map(b"".join),
    cuts=st.lists(st.integers(0, 2_000), max_size=5),
    restarts=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_any_split_and_any_restart_give_the_index_of_the_final_files(
    tmp_path_factory: pytest.TempPathFactory,
    stream: bytes,
    cuts: list[int],
    restarts: list[bool],
) -> None:
    run = RunDir(tmp_path_factory.mktemp("split") / "run")
    database = run.cache / "history.duckdb"
    index = HistoryIndex(run, database=database)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for (start, end), restart in zip(pairwise(edges), restarts, strict=False):
        append(log(run), stream[start:end])
        if restart:
            index.close()
            index = HistoryIndex(run, database=database)
        index.refresh()
    with index:
        assert (rows(index), rejects(index)) == built_at_once(run)
