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

import pytest

from control_room import Recorder, RunDir
from control_room.__main__ import main
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex
from control_room.history.queries import preview_page
from control_room.retention import Step, carry_out, plan

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
def test_limits_that_would_lose_data_are_refused(run: RunDir, limits: dict[str, int]) -> None:
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


@pytest.mark.parametrize("left", [b"", b"half of a gzip file", gzip.compress(b"another day")])
def test_what_a_crash_left_is_finished(run: RunDir, left: bytes) -> None:
    file = day_file(run, 10)
    content = file.read_bytes()
    packed = file.with_name(file.name + ".gz")
    packed.write_bytes(left)
    packed.with_name(packed.name + ".unfinished").write_bytes(b"rubbish")
    carry_out(Step("compress", file, TODAY - timedelta(days=10), len(content)))
    assert gzip.decompress(packed.read_bytes()) == content
    assert sorted(path.name for path in file.parent.iterdir()) == [packed.name]


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
        done = carry_out(Step("compress", file, TODAY - timedelta(days=10), 0))
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
    done = carry_out(Step("compress", file, TODAY - timedelta(days=10), len(content)))
    assert "No space left" in str(done.problem)
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert file.read_bytes() == content


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_killed_at_any_moment_the_day_is_whole_in_one_of_its_files(run: RunDir) -> None:
    file = day_file(run, 10, lines=5_000)
    content = file.read_bytes()
    packed = file.with_name(file.name + ".gz")
    step = Step("compress", file, TODAY - timedelta(days=10), len(content))
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
