"""The app's own housekeeping: off unless it is asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.settings import SettingsError, load_settings
from app.watch.monitor import Monitor
from app.watch.retention import retain
from control_room import RunDir
from tests.support import wait_until


@pytest.fixture
def old_day(tmp_path: Path) -> Path:
    directory = RunDir(tmp_path).logs("preview")
    directory.mkdir(parents=True)
    file = directory / "preview_history_2020-01-01.jsonl"
    file.write_text('{"step": 1}\n')
    return file


def test_by_default_nothing_is_touched(tmp_path: Path, old_day: Path) -> None:
    monitor = Monitor(load_settings({"run_dir": str(tmp_path)}))
    monitor.start()
    try:
        assert monitor.wait_for(3, timeout_s=60)
        assert "retention" not in monitor.sources
    finally:
        monitor.stop()
    assert old_day.exists()


def test_switched_on_it_works_in_the_background(tmp_path: Path, old_day: Path) -> None:
    settings = load_settings({"run_dir": str(tmp_path), "retention": {"enabled": True}})
    monitor = Monitor(settings)
    monitor.start()
    try:
        wait_until(lambda: not old_day.exists(), 10, "the deletion")
    finally:
        monitor.stop()


def test_what_cannot_be_done_is_told(
    tmp_path: Path, old_day: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, *, dir_fd: int | None = None) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "unlink", refuse)
    reading = retain(load_settings({"run_dir": str(tmp_path)}))
    assert reading.changed == 0
    assert "Permission denied" in reading.problems[0]


def test_limits_in_the_wrong_order_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="delete_after_days must be above"):
        load_settings({"retention": {"delete_after_days": 5}}, working_dir=tmp_path)
