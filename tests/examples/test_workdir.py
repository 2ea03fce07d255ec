"""The demo's run directory: it takes and empties only what is its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.workdir import MARKER, DemoError, claim, held, wipe


def test_a_new_or_empty_directory_is_claimed_and_stays_claimed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run"
    assert claim(path).path == path
    (path / "anything").touch()
    assert claim(path).path == path


def test_a_directory_with_something_elses_files_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DemoError, match=r"thesis\.txt.*--run-dir"):
        claim(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_apps_files_do_not_keep_the_demo_out(tmp_path: Path) -> None:
    (tmp_path / ".control_room").mkdir()
    (tmp_path / "control_room.toml").touch()
    claim(tmp_path)


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(DemoError, match=r"run cannot be used"):
        claim(tmp_path / "run")


def test_wiping_leaves_what_the_demo_did_not_write(tmp_path: Path) -> None:
    run_dir = claim(tmp_path)
    own = [
        run_dir.status_file,
        run_dir.logs("preview") / "preview_history_2026-01-02.jsonl",
        run_dir.logs("metrics") / "metrics_2026-01-02.jsonl.gz",
        run_dir.queue("high") / "demo_review_00001.jsonl",
        run_dir.queue("processing") / "demo_course_00002.jsonl",
        run_dir.checkpoints / "checkpoint-100.npz",
        run_dir.checkpoints / "snapshots" / "snapshot-2026-01-02.npz",
        run_dir.retention_index_file,
        run_dir.cache / "history.duckdb",
        tmp_path / "trainer.log",
    ]
    others = [
        tmp_path / "control_room.toml",
        tmp_path / MARKER,
        tmp_path / "notes.txt",
        run_dir.queue("high") / "my_own.jsonl",
        run_dir.checkpoints / "keep.npz",
    ]
    for path in own + others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with held(run_dir):
        wipe(run_dir)
    assert not [path for path in own if path.exists()]
    assert all(path.exists() for path in others)
    assert not (tmp_path / "logs").exists()


def test_a_directory_that_is_not_the_demos_is_never_wiped(tmp_path: Path) -> None:
    run_dir = claim(tmp_path)
    (tmp_path / MARKER).unlink()
    run_dir.checkpoints.mkdir()
    (run_dir.checkpoints / "checkpoint-1.npz").touch()
    with pytest.raises(DemoError, match="was not made by the demo"):
        wipe(run_dir)
    assert (run_dir.checkpoints / "checkpoint-1.npz").exists()


def test_two_cannot_hold_one_directory(tmp_path: Path) -> None:
    run_dir = claim(tmp_path)
    refused = pytest.raises(DemoError, match=r"in use: another trainer \(process \d+\)")
    with held(run_dir), refused, held(run_dir):
        pass
    with held(run_dir):
        pass
