"""A Monitor watching a run of its own, for the pages as Streamlit runs them without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import load_settings
from app.ui.current import serving
from app.watch.monitor import Monitor
from app.watch.run_history import HistoryNotReady
from control_room import Recorder
from control_room.history.filters import PreviewFilter
from control_room.history.queries import preview_page
from tests.support import wait_until

COUNT = 130


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Monitor]:
    """Over a run in which nothing has been logged."""
    started = Monitor(load_settings({"run_dir": str(tmp_path / "run")}))
    started.start()
    with serving(started):
        yield started
    started.stop()


@pytest.fixture
def history(watching: Monitor) -> Monitor:
    """A run with 130 previews, every fifth of them under regime3, every tenth exact."""
    with Recorder(watching.settings.run_dir) as recorder:
        for step in range(COUNT):
            recorder.log_preview(
                step=step,
                prompt=f"prompt {step}",
                golden="g",
                model_answer="a",
                exact_match=step % 10 == 0,
                failure_mode=None if step % 10 == 0 else "wrong_content",
                regime="regime3" if step % 5 == 0 else "plain_sft",
                golden_tokens=step,
                model_tokens=step,
                ce=step / 50,
            )
            recorder.log_throughput(
                step=step,
                tokens_per_sec=1_000.0 + step,
                vram_used_gb=10.0 + step / 100,
                vram_pct=50.0,
                batch_size=8,
                sequence_length=512,
            )

    def indexed() -> bool:
        try:
            cursor = watching.history.cursor()
        except HistoryNotReady:
            return False
        return preview_page(cursor, PreviewFilter(), limit=1, offset=0).total == COUNT

    wait_until(indexed, 20, "the index of all previews")
    return watching
