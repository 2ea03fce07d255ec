"""The run's history in the app: opened when there is something to index, kept where it can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.watch.run_history import HistoryNotReady, RunHistory
from control_room import Recorder, RunDir
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex, IndexFailed, Refresh
from control_room.history.queries import preview_page
from control_room.logs.patterns import PatternRules


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "run")


def log_previews(run: RunDir, count: int) -> None:
    with Recorder(run) as recorder:
        for step in range(count):
            recorder.log_preview(step=step, prompt="p", golden="g", model_answer="a")


def total(history: RunHistory) -> int:
    return preview_page(history.cursor(), PreviewFilter(), limit=1, offset=0).total


def test_a_run_without_logs_is_left_alone(run: RunDir) -> None:
    history = RunHistory(run, memory_limit_mb=64, rules=PatternRules())
    history.want()
    history.refresh()
    assert not run.path.exists()
    with pytest.raises(HistoryNotReady, match="Nothing has been logged"):
        history.cursor()


def test_what_is_logged_can_be_asked_for(run: RunDir) -> None:
    log_previews(run, 5)
    history = RunHistory(run, memory_limit_mb=64, rules=PatternRules())
    history.want()
    assert history.refresh().added == 5
    assert total(history) == 5
    log_previews(run, 2)
    history.refresh()
    assert total(history) == 7
    history.close()


def test_where_the_cache_cannot_be_written_the_history_is_held_in_memory(run: RunDir) -> None:
    log_previews(run, 3)
    run.cache.parent.mkdir(exist_ok=True)
    run.cache.write_text("a file where the cache should be")
    history = RunHistory(run, memory_limit_mb=64, rules=PatternRules())
    history.want()
    note = history.refresh().note
    assert note is not None
    assert "held in memory" in note
    assert total(history) == 3
    history.close()


def test_until_somebody_wants_it_nothing_is_opened(run: RunDir) -> None:
    log_previews(run, 1)
    history = RunHistory(run, memory_limit_mb=64, rules=PatternRules())
    assert history.refresh().added == 0
    assert not run.cache.exists()
    with pytest.raises(HistoryNotReady, match="being read"):
        history.cursor()
    assert history.refresh().added == 1
    assert total(history) == 1
    history.close()


def test_an_index_that_fails_is_opened_again_and_at_last_held_in_memory(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_previews(run, 3)
    history = RunHistory(run, memory_limit_mb=64, rules=PatternRules())
    history.want()

    def fail(index: HistoryIndex) -> Refresh:
        raise IndexFailed("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(HistoryIndex, "refresh", fail)
        for _ in range(2):
            with pytest.raises(IndexFailed):
                history.refresh()
        with pytest.raises(HistoryNotReady):
            history.cursor()
    reading = history.refresh()
    assert reading.note is not None and "held in memory" in reading.note
    assert total(history) == 3
    history.close()
