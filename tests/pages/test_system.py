"""The system page as Streamlit runs it, without a browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import load_settings
from app.ui.current import serving
from app.views.models import GpuProcessStatus, GpuStatus, MachineStatus, Queues, SystemStatus
from app.watch.machine_history import MINUTE_S
from app.watch.monitor import Monitor
from tests.pages.opened import html, open_page
from tests.support import free_port, wait_until


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Monitor]:
    gone = {
        "name": "gone",
        "role": "inference",
        "http": {"url": f"http://127.0.0.1:{free_port()}"},
    }
    own = {"name": "own", "role": "training", "local": True}
    settings = load_settings({"run_dir": str(tmp_path / "run"), "machines": [own, gone]})
    started = Monitor(settings)
    started.start()
    with serving(started):
        yield started
    started.stop()


def test_machines_there_and_gone_and_an_empty_day(watching: Monitor) -> None:
    wait_until(lambda: "refused" in str(watching.views.system.machines[1].message), 20, "a try")
    shown = html(open_page("system"))
    assert "own (training)" in shown and "gone (inference)" in shown
    assert "refused" in shown
    assert "own: the last 24 hours" in shown
    assert "No job queue is known." in shown


def test_settings_of_the_run_that_are_not_taken_are_named_as_they_are(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "control_room.toml").write_text('host = "0.0.0.0"\n"<b>![x](http://x)</b>" = 1\n')
    started = Monitor(load_settings({"run_dir": str(run)}, working_dir=tmp_path))
    with serving(started):
        shown = html(open_page("system"))
    assert "host in " in shown and "put it into your own control_room.toml" in shown
    assert "&lt;b&gt;![x](http://x)&lt;/b&gt;" in shown and "<b>!" not in shown


def test_a_day_is_drawn_and_processes_are_listed(
    watching: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = GpuProcessStatus(pid=4242, name="python3", vram_used_gb=19.3)
    gpu = GpuStatus(uuid="u", index=0, name="RTX", temp_c=60, util_pct=90, processes=(process,))
    system = SystemStatus(
        run_id="run",
        machines=(
            MachineStatus(name="own", role="training", online=True, gpus=(gpu,), cpu_pct=10),
            MachineStatus(name="gone", role="inference", online=False),
        ),
        queues=Queues(),
        timestamp=watching.views.live.timestamp,
    )
    history = watching.machine_history
    now = [time.time() - 2 * MINUTE_S]
    monkeypatch.setattr(history, "_clock", lambda: now[0])
    history.take(system.machines, system.job_queues)
    now[0] += MINUTE_S
    history.take(system.machines, system.job_queues)
    views = watching.views.model_copy(update={"system": system})
    monkeypatch.setattr(Monitor, "views", property(lambda monitor: views))
    page = open_page("system")
    assert len(page.get("plotly_chart")) == 2  # temperature, utilisation
    assert "4242" in html(page) and "python3" in html(page)
