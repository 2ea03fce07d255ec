"""What goes over the wire is what the cards show, to the last byte."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cards import evals, hardware, preview, preview_stats, queue, summary, training
from app.settings import load_settings
from app.views.models import EvalStatus, LiveStatus, PreviewStatus, SystemStatus
from app.views.ready import STATUS_VIEWS
from app.watch.monitor import Monitor
from control_room import Recorder
from tests.support import wait_until


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    with Recorder(tmp_path / "run") as recorder:
        for step in range(40):
            recorder.log_metrics(step=step, loss=1 / (step + 3), learning_rate=1e-4)
            recorder.log_preview(
                step=step,
                prompt="<b>p</b>",
                golden="Mortal & more",
                model_answer="mortal 🛑",
                exact_match=step % 3 == 0,
                regime="regime3",
                contract_status={"answer_start": True},
            )
        recorder.log_eval(step=39, kind="fixed", em=1 / 3, ce=1.1, ece=0.07, count=30)
        recorder.update_status(current_step=39, total_steps=100, loss=1 / 7, epoch=1 / 3)
    started = Monitor(load_settings({"run_dir": str(tmp_path / "run")}))
    started.start()
    wait_until(
        lambda: (
            started.views.evals.fixed_eval_em is not None
            and started.views.preview.latest_preview is not None
            and started.views.live.current_step == 39
            and started.views.system.machines[0].ram_total_gb is not None
        ),
        20,
        "all readings",
    )
    started.stop()
    yield started


def test_cards_drawn_from_the_answers_are_the_pages_cards(monitor: Monitor) -> None:
    views, ready = monitor.views, monitor.ready
    live = LiveStatus.model_validate_json(ready["live"].body)
    shown = PreviewStatus.model_validate_json(ready["preview"].body)
    evaluated = EvalStatus.model_validate_json(ready["evals"].body)
    system = SystemStatus.model_validate_json(ready["system"].body)
    assert training.html(live) == training.html(views.live)
    assert queue.html(live, system) == queue.html(views.live, views.system)
    assert hardware.html(system.machines) == hardware.html(views.system.machines)
    assert summary.html(live) == summary.html(views.live)
    assert preview_stats.html(shown) == preview_stats.html(views.preview)
    assert evals.html(evaluated) == evals.html(views.evals)
    assert shown.latest_preview is not None and views.preview.latest_preview is not None
    assert preview.detail_html(shown.latest_preview) == preview.detail_html(
        views.preview.latest_preview
    )


@pytest.mark.parametrize("name", STATUS_VIEWS)
def test_packed_and_plain_are_the_same_and_of_one_tick(monitor: Monitor, name: str) -> None:
    ready, live = monitor.ready[name], monitor.ready["live"]
    assert ready.packed is None or gzip.decompress(ready.packed) == ready.body
    assert json.loads(ready.body)["timestamp"] == json.loads(live.body)["timestamp"]
    assert ready.etag.endswith(f'-{monitor.views.version}"')
