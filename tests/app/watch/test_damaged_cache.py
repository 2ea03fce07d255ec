"""A damaged cache is never the end of the history: it is built again from the logs, once, and said.

Whatever happened to the file while nobody had it open, or after the app was killed.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from app.watch.run_history import HistoryFailed, HistoryNotReady, RunHistory
from control_room import Recorder, RunDir
from control_room.history.sql.question import SqlRefused
from control_room.logs.patterns import PatternRules
from control_room.logs.retention import Form, carry_out, plan
from control_room.logs.schema import TABLES

COUNT = 3_000
Damage = Callable[[bytearray, random.Random], None]


def flip(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def zero(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data) - 4096)
    data[at : at + 4096] = bytes(4096)


def swap(data: bytearray, rng: random.Random) -> None:
    a, b = (rng.randrange(len(data) - 4096) for _ in range(2))
    data[a : a + 4096], data[b : b + 4096] = data[b : b + 4096], data[a : a + 4096]


def swap_blocks(data: bytearray, rng: random.Random) -> None:
    """Whole blocks, whose checksums stay right."""
    size, start = 262_144, 12_288
    a, b = (start + size * rng.randrange((len(data) - start) // size) for _ in range(2))
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


DAMAGES: tuple[Damage, ...] = (flip, truncate, zero, swap, swap_blocks)


def rows(history: RunHistory) -> dict[str, list[Any]]:
    """Every row of every table, as a page would ask; while it is built again, wait for it."""
    for _ in range(5):
        history.refresh()
        try:
            cursor = history.cursor()
            return {
                table.name: cursor.execute(f"SELECT * FROM {table.name} ORDER BY seq").fetchall()
                for table in TABLES.values()
            }
        except HistoryNotReady:
            continue
    raise AssertionError("the history did not come back")


def a_history(run: RunDir) -> RunHistory:
    history = RunHistory(run, memory_limit_mb=256, rules=PatternRules())
    history.want()
    return history


class Cached:
    """A run, its cache as a plain end leaves it and as a kill does, and what is in it."""

    def __init__(self, path: Path) -> None:
        self.run = RunDir(path / "run")
        with Recorder(self.run) as recorder:
            for step in range(COUNT):
                recorder.log_preview(
                    step=step,
                    prompt=f"prompt {step} " * 20,
                    golden="g",
                    model_answer=f"{step * 7919}",
                    exact_match=step % 3 == 0,
                )
                recorder.log_metrics(step=step, loss=1 / (step + 1))
        history = a_history(self.run)
        self.rows = rows(history)
        self.killed = path / "killed"
        shutil.copytree(self.run.cache, self.killed)
        history.close()
        self.ended = path / "ended"
        shutil.copytree(self.run.cache, self.ended)


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Cached:
    return Cached(tmp_path_factory.mktemp("cached"))


@pytest.fixture
def run(cached: Cached) -> Iterator[RunDir]:
    shutil.rmtree(cached.run.cache, ignore_errors=True)
    yield cached.run


def leave(run: RunDir, cache: Path, damage: Damage | None, seed: int) -> str:
    """Put a cache there, one of its files damaged; return the name of that file."""
    shutil.copytree(cache, run.cache)
    rng = random.Random(seed)
    file = rng.choice([path for path in run.cache.iterdir() if path.stat().st_size > 5000])
    if damage is not None:
        data = bytearray(file.read_bytes())
        damage(data, rng)
        file.write_bytes(data)
    return file.name


def test_an_undamaged_cache_is_used_as_it_is(run: RunDir, cached: Cached) -> None:
    leave(run, cached.ended, None, 0)
    history = a_history(run)
    reading = history.refresh()
    assert (reading.added, reading.note) == (0, None)
    assert rows(history) == cached.rows
    history.close()


def test_after_a_kill_what_was_put_in_order_is_used_and_the_rest_read_again(
    run: RunDir, cached: Cached, tmp_path: Path
) -> None:
    run = RunDir(tmp_path / "run")
    shutil.copytree(cached.run.path / "logs", run.path / "logs")
    history = a_history(run)
    assert history.refresh().added == 2 * COUNT
    history.cursor().execute("CHECKPOINT")
    with Recorder(run) as recorder:
        recorder.log_metrics(step=COUNT, loss=0.5)
    history.refresh()
    shutil.copytree(run.cache, tmp_path / "killed")
    history.close()
    shutil.rmtree(run.cache)
    shutil.copytree(tmp_path / "killed", run.cache)
    again = a_history(run)
    reading = again.refresh()
    assert (reading.added, reading.note) == (1, None)
    assert len(rows(again)["metrics"]) == COUNT + 1
    again.close()


@pytest.mark.parametrize("form", ["gzip", "parquet"])
def test_a_day_that_is_packed_between_a_kill_and_the_next_start_is_there_once(
    tmp_path: Path, form: Form
) -> None:
    """What is in order knows a part of the plain file, which is an archive by now."""
    run = RunDir(tmp_path / "run")
    file = run.logs("metrics") / "metrics_2026-01-05.jsonl"
    file.parent.mkdir(parents=True)

    def log(steps: range) -> None:
        with file.open("a") as lines:
            for step in steps:
                ts = datetime(2026, 1, 5, 12, tzinfo=UTC) + timedelta(seconds=step)
                lines.write(json.dumps({"ts": ts.isoformat(), "step": step, "loss": 0.5}) + "\n")

    log(range(100))
    history = a_history(run)
    history.refresh()
    history.cursor().execute("CHECKPOINT")
    log(range(100, 150))
    assert history.refresh().added == 50
    shutil.copytree(run.cache, tmp_path / "killed")
    history.close()
    shutil.rmtree(run.cache)
    shutil.copytree(tmp_path / "killed", run.cache)
    steps = plan(run, date(2026, 1, 20), form=form)
    assert steps and all(carry_out(step).problem is None for step in steps)
    again = a_history(run)
    assert [row[2] for row in rows(again)["metrics"]] == list(range(150))
    again.close()


@pytest.mark.parametrize("alignment", range(8))
def test_words_that_changed_places_in_the_log_of_the_database_change_no_row(
    run: RunDir, cached: Cached, alignment: int
) -> None:
    """DuckDB's checksum of a log entry is the same for its words in any order."""
    leave(run, cached.killed, None, 0)
    (log,) = run.cache.glob("*.wal")
    data = bytearray(log.read_bytes())
    at = data.index(b"prompt 1999 prompt") // 8 * 8 + 8 + alignment
    data[at : at + 8], data[at + 8 : at + 16] = data[at + 8 : at + 16], data[at : at + 8]
    log.write_bytes(data)
    history = a_history(run)
    assert rows(history) == cached.rows
    history.close()


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("seed", range(10))
def test_after_a_plain_end_every_row_is_there(
    run: RunDir, cached: Cached, damage: Damage, seed: int
) -> None:
    leave(run, cached.ended, damage, seed)
    history = a_history(run)
    assert rows(history) == cached.rows
    history.close()
    again = a_history(run)
    assert (again.refresh().added, again.refresh().note) == (0, None), "built again only once"
    again.close()


@pytest.mark.parametrize("damage", DAMAGES[:4], ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("seed", range(15))
def test_after_a_kill_every_row_is_there(
    run: RunDir, cached: Cached, damage: Damage, seed: int
) -> None:
    leave(run, cached.killed, damage, seed)
    history = a_history(run)
    assert rows(history) == cached.rows
    history.close()
    again = a_history(run)
    assert rows(again) == cached.rows
    again.close()


def test_the_page_says_that_it_was_built_again_and_why(run: RunDir, cached: Cached) -> None:
    leave(run, cached.ended, zero, 1)
    history = a_history(run)
    note = history.refresh().note
    assert note is not None and "damaged" in note and "built again from the logs" in note
    history.close()


def test_damage_that_shows_only_when_a_page_asks_is_mended_too(
    run: RunDir, cached: Cached, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(run, cached.ended, None, 0)
    history = a_history(run)
    history.refresh()
    cursor = history.cursor()

    class Broken:
        def execute(self, query: str, values: object = None) -> None:
            raise duckdb.Error("Corrupt database file: computed checksum 1 does not match")

    with monkeypatch.context() as patched:
        patched.setattr(cursor, "_target", Broken())
        with pytest.raises(HistoryNotReady, match="built again"):
            cursor.execute("SELECT 1")
    with pytest.raises(HistoryNotReady):
        history.cursor()
    assert history.refresh().added == 2 * COUNT
    assert rows(history) == cached.rows
    history.close()


def test_damage_that_a_question_in_sql_meets_is_mended_too(run: RunDir, cached: Cached) -> None:
    leave(run, cached.ended, None, 0)
    history = a_history(run)
    history.refresh()
    assert history.ask("SELECT count(*) AS n FROM previews").table.num_rows == 1
    with (run.cache / "history.duckdb").open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(3 * 4_096)
        file.write(b"\x5a" * (size - 3 * 4_096))
    with pytest.raises(HistoryNotReady, match="built again"):
        history.ask("SELECT sum(length(prompt)), max(model_answer) FROM previews")
    assert history.refresh().added == 2 * COUNT
    assert rows(history) == cached.rows
    assert history.ask("SELECT count(*) AS n FROM previews").table.num_rows == 1
    history.close()


def test_a_question_that_is_wrong_is_no_damage(run: RunDir, cached: Cached) -> None:
    leave(run, cached.ended, None, 0)
    history = a_history(run)
    history.refresh()
    for question in ("SELECT nothing", "SELEC", "SELECT 'x'::INT", "SELECT * FROM nowhere"):
        with pytest.raises(SqlRefused):
            history.ask(question)
        with pytest.raises(HistoryFailed, match="cannot answer"):
            history.cursor().execute(question)
    assert history.refresh().added == 0
    assert rows(history) == cached.rows
    history.close()


def test_a_disk_that_damages_the_cache_again_is_not_used_any_more(
    run: RunDir, cached: Cached
) -> None:
    leave(run, cached.ended, None, 0)
    history = a_history(run)
    history.refresh()
    for note in ("built again", "held in memory"):
        history._damage = "a damage that a page met"
        told = history.refresh().note
        assert told is not None and note in told
    assert rows(history) == cached.rows
    history.close()


def test_a_cache_in_use_by_another_app_is_left_alone(run: RunDir, cached: Cached) -> None:
    leave(run, cached.ended, None, 0)
    first, second = a_history(run), a_history(run)
    first.refresh()
    note = second.refresh().note
    assert note is not None and "in memory" in note
    assert rows(second) == rows(first) == cached.rows
    second.close()
    first.close()
    third = a_history(run)
    assert third.refresh().added == 0
    third.close()
