"""The queues collector: how many data files wait at each priority, and which are taken next."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from collectors.files import queues
from collectors.files.queues import QueuesReading, read_queues
from control_room.rundir import QueuePriority, RunDir


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "run")


def put(directory: Path, name: str, *, size: int = 10, modified: int = 0) -> Path:
    """A data file of ``size`` bytes, last written ``modified`` seconds after the epoch."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_bytes(b"x" * size)
    os.utime(path, (modified, modified))
    return path


def test_a_run_without_a_queue_has_no_counts_and_no_problem(run: RunDir) -> None:
    assert read_queues(run) == QueuesReading(
        high=None,
        normal=None,
        low=None,
        processing=None,
        failed=None,
        processing_files=(),
        next_files=(),
        pending_bytes=None,
        processing_bytes=None,
    )


def test_counts_and_sizes_per_priority(run: RunDir) -> None:
    put(run.queue("high"), "a.jsonl", size=1)
    put(run.queue("normal"), "b.jsonl", size=20)
    put(run.queue("normal"), "c.jsonl", size=300)
    put(run.queue("processing"), "d.jsonl", size=4000)
    put(run.queue("failed"), "e.jsonl", size=9)
    reading = read_queues(run)
    assert (reading.high, reading.normal, reading.low, reading.processing) == (1, 2, None, 1)
    assert reading.failed == 1
    assert (reading.pending_bytes, reading.processing_bytes) == (321, 4000)
    assert reading.processing_files == ("d.jsonl",)
    assert reading.problem is None


def test_an_empty_directory_is_zero_and_not_none(run: RunDir) -> None:
    run.queue("high").mkdir(parents=True)
    reading = read_queues(run)
    assert (reading.high, reading.normal, reading.pending_bytes) == (0, None, 0)


def test_next_are_the_few_oldest_of_the_highest_priority(run: RunDir) -> None:
    put(run.queue("low"), "oldest.jsonl", modified=1)
    put(run.queue("normal"), "n2.jsonl", modified=20)
    put(run.queue("normal"), "n1.jsonl", modified=10)
    put(run.queue("high"), "h2.jsonl", modified=40)
    put(run.queue("high"), "h1.jsonl", modified=30)
    put(run.queue("low"), "newest.jsonl", modified=50)
    assert read_queues(run).next_files == (
        "h1.jsonl",
        "h2.jsonl",
        "n1.jsonl",
        "n2.jsonl",
        "oldest.jsonl",
    )


def test_files_of_the_same_age_come_by_name(run: RunDir) -> None:
    for name in ("b.jsonl", "c.jsonl", "a.jsonl"):
        put(run.queue("processing"), name)
    assert read_queues(run).processing_files == ("a.jsonl", "b.jsonl", "c.jsonl")


def test_only_data_files_count(run: RunDir) -> None:
    directory = run.queue("normal")
    put(directory, "data.jsonl")
    put(directory, "data.jsonl.tmp")
    put(directory, "notes.txt")
    (directory / "directory.jsonl").mkdir()
    (directory / "broken.jsonl").symlink_to(directory / "missing.jsonl")
    os.mkfifo(directory / "pipe.jsonl")
    assert read_queues(run).normal == 1


def test_a_link_to_a_data_file_is_one(run: RunDir, tmp_path: Path) -> None:
    data = put(tmp_path / "data", "big.jsonl", size=77)
    run.queue("low").mkdir(parents=True)
    (run.queue("low") / "link.jsonl").symlink_to(data)
    reading = read_queues(run)
    assert (reading.low, reading.pending_bytes) == (1, None)  # it is not followed out of the run
    (run.queue("low") / "link.jsonl").unlink()
    (run.queue("low") / "within.jsonl").symlink_to(put(run.path, "big.jsonl", size=77))
    reading = read_queues(run)
    assert (reading.low, reading.pending_bytes) == (1, 77)


@pytest.mark.parametrize("name", ["two\nlines.jsonl", "\x1b[31mred.jsonl", "tab\t.jsonl"])
def test_names_with_control_characters_can_be_shown(run: RunDir, name: str) -> None:
    put(run.queue("high"), name)
    (shown,) = read_queues(run).next_files
    assert shown.isprintable()


def test_names_that_are_no_text_can_be_shown_and_sent(run: RunDir) -> None:
    put(run.queue("high"), os.fsdecode(b"caf\xe9.jsonl"))
    put(run.queue("high"), "日本語 データ.jsonl")
    shown = read_queues(run).next_files
    assert set(shown) == {"caf\\udce9.jsonl", "日本語 データ.jsonl"}
    assert all(name.encode() for name in shown)


@pytest.mark.parametrize("priority", ["high", "normal", "low", "processing"])
def test_what_is_no_directory_is_a_problem_that_names_it(
    run: RunDir, priority: QueuePriority
) -> None:
    put(run.queue("high").parent / "other", "x.jsonl")
    run.queue(priority).write_text("not a directory")
    reading = read_queues(run)
    assert getattr(reading, priority) is None
    assert str(run.queue(priority)) in (reading.problem or "")
    assert "Not a directory" in (reading.problem or "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every directory")
def test_a_directory_that_may_not_be_read_is_a_problem_and_drops_no_other(run: RunDir) -> None:
    put(run.queue("high"), "a.jsonl")
    put(run.queue("normal"), "b.jsonl")
    run.queue("high").chmod(0)
    try:
        reading = read_queues(run)
    finally:
        run.queue("high").chmod(0o700)
    assert (reading.high, reading.normal, reading.pending_bytes) == (None, 1, None)
    assert "Permission denied" in (reading.problem or "")


def test_too_long_a_path_is_a_problem(tmp_path: Path) -> None:
    reading = read_queues(RunDir(tmp_path / ("x" * 300)))
    assert reading.high is None
    assert "File name too long" in (reading.problem or "")


def test_of_a_huge_directory_the_count_is_told_and_the_rest_is_not(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "MAX_FILES_ASKED", 3)
    put(run.queue("high"), "first.jsonl")
    for number in range(4):
        put(run.queue("normal"), f"{number}.jsonl")
    put(run.queue("low"), "last.jsonl")
    reading = read_queues(run)
    assert (reading.high, reading.normal, reading.low) == (1, 4, 1)
    assert reading.next_files == ("first.jsonl",)
    assert reading.pending_bytes is None
    assert f"{run.queue('normal')} holds 4 files" in (reading.problem or "")


def test_files_that_move_on_while_they_are_counted_are_no_problem(run: RunDir) -> None:
    names = [f"{number}.jsonl" for number in range(50)]
    for name in names:
        put(run.queue("normal"), name)
    run.queue("processing").mkdir()
    stop = threading.Event()

    def work() -> None:
        source, target = run.queue("normal"), run.queue("processing")
        while not stop.is_set():
            for name in names:
                (source / name).rename(target / name)
            source, target = target, source

    trainer = threading.Thread(target=work)
    trainer.start()
    try:
        for _ in range(200):
            reading = read_queues(run)
            assert reading.problem is None
            assert reading.normal is not None
            assert 0 <= reading.normal <= len(names)
    finally:
        stop.set()
        trainer.join()
