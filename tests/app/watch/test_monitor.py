"""The Monitor: what a trainer writes turns up in the views, whoever looks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import load_settings
from app.watch.monitor import Monitor
from control_room import Recorder
from tests.support import wait_until


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return tmp_path / "my-run"


@pytest.fixture
def monitor(run_dir: Path) -> Iterator[Monitor]:
    started = Monitor(load_settings({"run_dir": str(run_dir)}))
    started.start()
    yield started
    started.stop()


def test_a_run_directory_that_does_not_exist_is_a_view_not_an_error(
    monitor: Monitor, run_dir: Path
) -> None:
    assert monitor.wait_for(2, timeout_s=60)
    live = monitor.views.live
    assert live.status is None
    assert live.liveness.state == "unknown"
    assert live.run_id == "my-run"
    assert not run_dir.exists(), "watching must not create anything"


def test_status_metrics_and_previews_turn_up(monitor: Monitor, run_dir: Path) -> None:
    with Recorder(run_dir) as recorder:
        recorder.update_status(status="training", current_step=7, total_steps=10, loss=0.5)
        recorder.log_metrics(step=7, loss=0.5, learning_rate=1e-3)
        recorder.log_preview(
            step=7,
            prompt="1+1",
            golden="2",
            model_answer="3",
            exact_match=False,
            regime="plain_sft",
        )
        wait_until(lambda: monitor.views.live.current_step == 7, 10, "the step")
        wait_until(lambda: monitor.views.preview.latest_preview is not None, 10, "the preview")
    live, preview = monitor.views.live, monitor.views.preview
    assert live.progress_pct == pytest.approx(70)
    assert live.loss == 0.5
    assert preview.preview_em_last_20 == 0
    assert preview.regime_stats["plain_sft"].count == 1
    wait_until(lambda: monitor.views.live.status == "completed", 10, "the end of the run")


def test_the_hosts_numbers_turn_up(monitor: Monitor) -> None:
    wait_until(lambda: bool(monitor.views.system.machines[0].ram_total_gb), 10, "the host reading")
    machine = monitor.views.system.machines[0]
    assert machine.ram_total_gb is not None
    assert machine.ram_total_gb > 0.1
    assert machine.disk_total_gb is not None


def test_bad_lines_are_told_and_hide_nothing(monitor: Monitor, run_dir: Path) -> None:
    with Recorder(run_dir) as recorder:
        recorder.log_preview(step=1, prompt="p", golden="g", model_answer="g", exact_match=True)
    (log,) = (run_dir / "logs" / "preview").glob("*.jsonl")
    with log.open("ab") as file:
        file.write(b'{"step": "garbage"\n\xff\xfe\n[1]\n')
    with Recorder(run_dir) as recorder:
        recorder.log_preview(step=2, prompt="p", golden="g", model_answer="x", exact_match=False)

    def both() -> bool:
        return monitor.views.preview.preview_count == 2

    wait_until(both, 10, "both good previews")
    (problem,) = monitor.views.preview.problems
    assert log.name in problem
    assert "3 lines" in problem


def test_views_are_built_while_nobody_looks_and_shared_by_all(monitor: Monitor) -> None:
    version = monitor.views.version
    assert monitor.wait_for(version + 3, timeout_s=60)
    views = monitor.views
    assert views.live.timestamp.tzinfo is not None
    assert abs(views.live.timestamp.timestamp() - time.time()) < 5


def test_stopping_ends_every_thread(run_dir: Path) -> None:
    monitor = Monitor(load_settings({"run_dir": str(run_dir)}))
    monitor.start()
    assert monitor.wait_for(1, timeout_s=60)
    assert monitor.alive()
    monitor.stop()
    wait_until(lambda: not monitor.alive(), 10)


def test_a_tick_that_fails_does_not_end_the_views(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert monitor.wait_for(1, timeout_s=60)
    with monkeypatch.context() as broken:
        broken.setattr("app.watch.monitor.assemble", None)
        wait_until(lambda: "could not be built" in caplog.text, 10, "a failed tick in the log")
    assert monitor.wait_for(monitor.views.version + 1, timeout_s=60)
    assert monitor.alive()
