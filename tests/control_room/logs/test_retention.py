"""Old days: compressed, then deleted; never lost in between, whatever happens."""

from __future__ import annotations

import gzip
import os
import random
import signal
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from control_room import Recorder, RunDir
from control_room.__main__ import main
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex
from control_room.history.queries import preview_page
from control_room.logs import parquet_day
from control_room.logs.retention import Step, carry_out, plan

TODAY = date(2026, 3, 31)


def day_file(run: RunDir, age: int, lines: int = 50) -> Path:
    """A day's preview log, ``age`` days old."""
    file = run.log_file("preview", TODAY - timedelta(days=age))
    at = datetime.combine(TODAY - timedelta(days=age), datetime.min.time(), UTC)
    with Recorder(run.path, clock=lambda: at.timestamp() + 43_200) as recorder:
        for step in range(lines):
            recorder.log_preview(step=step, prompt="p" * 200, golden="g", model_answer="a")
    assert file.exists()
    return file


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "run")


def actions(run: RunDir, **limits: int | None) -> list[tuple[str, int]]:
    return [
        (step.action, (TODAY - step.day).days)
        for step in plan(run, TODAY, **limits)  # type: ignore[arg-type]  # the limits by name
        if step.path.parent.name == "preview"
    ]


def test_a_week_stays_plain_and_a_month_stays(run: RunDir) -> None:
    for age in (0, 7, 8, 30, 31):
        day_file(run, age)
    assert actions(run) == [("delete", 31), ("compress", 30), ("compress", 8)]
    assert actions(run, compress_after_days=1, delete_after_days=None) == [
        ("compress", 31),
        ("compress", 30),
        ("compress", 8),
        ("compress", 7),
    ]


@pytest.mark.parametrize(
    "limits", [{"compress_after_days": 0}, {"compress_after_days": 7, "delete_after_days": 7}]
)
def test_limits_that_would_lose_data_are_refused(run: RunDir, limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        plan(run, TODAY, **limits)


def test_files_of_others_are_left_alone(run: RunDir) -> None:
    directory = run.logs("preview")
    directory.mkdir(parents=True)
    for name in ("notes.jsonl", "preview_history_2020-13-45.jsonl", "preview_history_2020.jsonl"):
        (directory / name).touch()
    assert plan(run, TODAY) == []


def test_a_compressed_day_holds_the_same_bytes_and_the_plain_one_is_gone(run: RunDir) -> None:
    file = day_file(run, 10)
    content = file.read_bytes()
    (step,) = [each for each in plan(run, TODAY) if each.path == file]
    done = carry_out(step)
    assert done.problem is None and done.freed_bytes > len(content) / 2
    assert not file.exists()
    assert gzip.decompress(file.with_name(file.name + ".gz").read_bytes()) == content
    assert [each for each in plan(run, TODAY) if each.path.parent == file.parent] == []


def test_a_reader_sees_each_row_once_before_and_after(run: RunDir) -> None:
    day_file(run, 10)
    day_file(run, 0)
    with HistoryIndex(run) as index:
        index.refresh()
        for step in plan(run, TODAY):
            carry_out(step)
        index.refresh()
        assert preview_page(index.cursor(), PreviewFilter(), limit=1, offset=0).total == 100
    with HistoryIndex(run) as anew:
        anew.refresh()
        assert preview_page(anew.cursor(), PreviewFilter(), limit=1, offset=0).total == 100


@pytest.mark.parametrize("share", [0, 0.5, 1], ids=["nothing", "half of it", "all of it"])
def test_what_a_crash_left_is_finished(run: RunDir, share: float) -> None:
    file = day_file(run, 10)
    content = file.read_bytes()
    packed = file.with_name(file.name + ".gz")
    packed.write_bytes(gzip.compress(content[: int(share * len(content))], mtime=0))
    packed.with_name(packed.name + ".unfinished").write_bytes(b"rubbish")
    carry_out(Step("compress", file, TODAY - timedelta(days=10), len(content), "preview"))
    assert gzip.decompress(packed.read_bytes()) == content
    assert [path.name for path in file.parent.glob("*.gz")] == [packed.name]
    assert not file.exists()


def test_a_day_beside_a_damaged_archive_is_left_as_it_is(run: RunDir) -> None:
    file = day_file(run, 10)
    content = file.read_bytes()
    whole = gzip.compress(content, mtime=0)
    archive = file.with_name(file.name + ".gz")
    for damaged in (b"half of a gzip file", whole[:-4], b"\0" + whole[1:]):
        archive.write_bytes(damaged)
        (step,) = plan(run, TODAY)
        assert "is damaged" in (carry_out(step).problem or "")
        for step in plan(run, TODAY, form="parquet"):
            assert "is damaged" in (carry_out(step).problem or "")
        assert (file.read_bytes(), archive.read_bytes()) == (content, damaged)
        with HistoryIndex(run) as index:
            index.refresh()
            assert preview_page(index.cursor(), PreviewFilter(), limit=1, offset=0).total == 50


def test_an_archive_with_something_else_in_it_is_never_replaced(run: RunDir) -> None:
    file = day_file(run, 10)
    content = file.read_bytes()
    other = gzip.compress(b"another\n", mtime=0)
    archive = file.with_name(file.name + ".gz")
    archive.write_bytes(other)
    assert carry_out(plan(run, TODAY)[0]).problem is None
    assert archive.read_bytes() == other
    second = archive.with_name(archive.name.replace(".jsonl", ".part2.jsonl"))
    assert gzip.decompress(second.read_bytes()) == content
    assert not file.exists()


def test_a_day_that_is_still_written_to_is_kept(run: RunDir) -> None:
    file = day_file(run, 10, lines=20_000)
    stop = threading.Event()

    def write() -> None:
        with file.open("ab") as late:
            while not stop.is_set():
                late.write(b'{"late": 1}\n')
                late.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        done = carry_out(Step("compress", file, TODAY - timedelta(days=10), 0, "preview"))
    finally:
        stop.set()
        writer.join()
    assert done.problem is not None and str(file) in done.problem
    assert file.exists()


def test_a_full_disk_leaves_the_day_as_it_was(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    file = day_file(run, 10)
    content = file.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    done = carry_out(Step("compress", file, TODAY - timedelta(days=10), len(content), "preview"))
    assert "No space left" in str(done.problem)
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert file.read_bytes() == content


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_killed_at_any_moment_the_day_is_whole_in_one_of_its_files(run: RunDir) -> None:
    file = day_file(run, 10, lines=5_000)
    content = file.read_bytes()
    packed = file.with_name(file.name + ".gz")
    step = Step("compress", file, TODAY - timedelta(days=10), len(content), "preview")
    began = time.monotonic()
    carry_out(step)
    takes_s = time.monotonic() - began
    rng = random.Random(7)
    for _ in range(40):
        packed.unlink(missing_ok=True)
        file.write_bytes(content)
        child = os.fork()
        if child == 0:
            try:
                carry_out(step)
            finally:
                os._exit(0)
        time.sleep(rng.uniform(0, 1.5 * takes_s))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        whole = file.exists() and file.read_bytes() == content
        assert whole or gzip.decompress(packed.read_bytes()) == content


class TestTheCommand:
    def test_a_dry_run_prints_and_touches_nothing(
        self, run: RunDir, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = day_file(run, 10_000)
        assert main(["retain", "--run-dir", str(run.path), "--dry-run"]) == 0
        assert f"would delete {file}" in capsys.readouterr().out
        assert file.exists()

    def test_it_does_what_is_due_and_says_what_it_freed(
        self, run: RunDir, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = day_file(run, 10_000)
        assert main(["retain", "--run-dir", str(run.path), "--keep-all"]) == 0
        assert not file.exists()
        assert "MiB freed" in capsys.readouterr().out
        assert main(["retain", "--run-dir", str(run.path)]) == 0
        assert not list(file.parent.iterdir())

    def test_limits_that_make_no_sense_are_named(
        self, run: RunDir, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["retain", "--run-dir", str(run.path), "--compress-after-days", "0"]) == 2
        assert "at least 1" in capsys.readouterr().err


class TestParquet:
    """The same, packed as Parquet."""

    def packed(self, run: RunDir, file: Path) -> Path:
        for step in plan(run, TODAY, form="parquet"):
            assert carry_out(step).problem is None
        return file.with_name(f"{file.name}.parquet")

    @pytest.mark.parametrize(
        "extra",
        [
            b"",
            b"{\n",
            b"\n\n",
            b'{"ts":"2026-03-21T01:00:00Z","step":1,"prompt":"","golden":"",'
            b'"model_answer":"","unknown":[1]}\n',
            b"torn, without an end",
            b"\xff\xfe\n",
        ],
    )
    def test_every_byte_comes_back(self, run: RunDir, extra: bytes) -> None:
        file = day_file(run, 10)
        file.write_bytes(content := file.read_bytes() + extra)
        packed = self.packed(run, file)
        assert not file.exists()
        assert b"".join(parquet_day.pieces(packed)) == content

    def test_the_history_is_the_same_before_and_after(self, run: RunDir) -> None:
        file = day_file(run, 10)
        file.write_bytes(file.read_bytes() + b"{\n")
        with HistoryIndex(run) as index:
            index.refresh()
            told = "SELECT * FROM previews ORDER BY seq", "SELECT * FROM rejects"
            before = [index.cursor().execute(query).fetchall() for query in told]
            self.packed(run, file)
            index.refresh()
            assert [index.cursor().execute(query).fetchall() for query in told] == before
        with HistoryIndex(run) as index:
            index.refresh()
            assert [index.cursor().execute(query).fetchall() for query in told] == before

    def test_short_fields_are_typed_columns(self, run: RunDir) -> None:
        packed = self.packed(run, day_file(run, 10, lines=3))
        with duckdb.connect() as database:
            rows = database.execute(
                f"SELECT step, run_id, exact_match FROM '{packed}' ORDER BY step"
            ).fetchall()
        assert rows == [(0, "run", None), (1, "run", None), (2, "run", None)]

    def test_gzipped_days_are_packed_anew(self, run: RunDir) -> None:
        file = day_file(run, 10)
        content = file.read_bytes()
        for step in plan(run, TODAY):
            carry_out(step)
        assert file.with_name(f"{file.name}.gz").exists()
        packed = self.packed(run, file)
        assert not file.with_name(f"{file.name}.gz").exists()
        assert b"".join(parquet_day.pieces(packed)) == content
        assert plan(run, TODAY, form="parquet") == []

    def test_two_forms_that_differ_are_two_parts(self, run: RunDir) -> None:
        file = day_file(run, 10)
        packed = self.packed(run, file)
        content = packed.read_bytes()
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(b"another\n", mtime=0))
        self.packed(run, file)
        second = packed.with_name(packed.name.replace(".jsonl", ".part2.jsonl"))
        assert sorted(file.parent.iterdir()) == sorted([packed, second])
        assert packed.read_bytes() == content
        assert b"".join(parquet_day.pieces(second)) == b"another\n"

    def test_a_damaged_file_is_named_and_hides_no_other(self, run: RunDir) -> None:
        damaged = self.packed(run, day_file(run, 10))
        day_file(run, 3, lines=4)
        damaged.write_bytes(damaged.read_bytes()[:-40])
        with HistoryIndex(run) as index:
            found = index.refresh()
            assert damaged.name in found.problems[0]
            assert len(preview_page(index.cursor(), PreviewFilter(), limit=9, offset=0).rows) == 4

    def test_it_is_deleted_when_its_time_has_come(self, run: RunDir) -> None:
        packed = self.packed(run, day_file(run, 10))
        later = TODAY + timedelta(days=30)
        (step,) = plan(run, later, form="parquet")
        assert (step.action, step.path) == ("delete", packed)

    def test_the_command_takes_the_form(
        self, run: RunDir, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = run.log_file("preview", date(2020, 1, 1))
        file.parent.mkdir(parents=True)
        file.write_text("{}\n")
        assert main(["retain", "--run-dir", str(run.path), "--parquet", "--keep-all"]) == 0
        assert "compress to parquet" in capsys.readouterr().out
        assert file.with_name(f"{file.name}.parquet").exists()


def test_a_deletion_is_told_as_one_whatever_days_are_packed_to(tmp_path: Path) -> None:
    day = tmp_path / "logs" / "preview" / "preview_history_2026-01-01.jsonl"
    steps = [
        Step(action, day, date(2026, 1, 1), 0, "preview", "parquet")
        for action in ("compress", "delete")
    ]
    told = [str(step).partition(f" {day}")[0] for step in steps]
    assert told == ["compress to parquet", "delete"]
