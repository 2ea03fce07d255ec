"""Health tells the truth: what hangs, fails or is old is named, and nothing else makes it fail."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from app.api import create_api
from app.settings import load_settings
from app.watch import app_health as module
from app.watch.app_health import SourceHealth, app_health, is_stuck
from app.watch.monitor import Monitor
from app.watch.run_history import RunHistory
from collectors.sampler import Sampler, Source
from control_room import PreviewRecord, Recorder
from tests.support import PATIENCE_S, serving_app, wait_until


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    with Recorder(tmp_path / "run") as recorder:
        recorder.log_preview(PreviewRecord(step=1, prompt="p", golden="g", model_answer="a"))
    return tmp_path / "run"


@pytest.fixture
def monitor(run_dir: Path) -> Iterator[Monitor]:
    started = Monitor(load_settings({"run_dir": str(run_dir), "history": {"refresh_s": 0.05}}))
    started.start()
    wait_until(lambda: started.views.version > 0, what="the first views")
    yield started
    started.stop()


def answer(monitor: Monitor) -> httpx.Response:
    answered: httpx.Response = TestClient(create_api(monitor)).get("/health")
    return answered


def test_an_app_that_nobody_asked_for_the_history_is_well(monitor: Monitor) -> None:
    told = answer(monitor)
    assert told.status_code == 200
    assert (told.json()["status"], told.json()["reasons"]) == ("ok", [])
    assert told.json()["history"] == "not opened"
    assert set(told.json()["sources"]) >= {"training", "previews", "history", "gpu", "host"}


def test_a_machine_may_take_as_long_as_the_user_lets_each_step_take(run_dir: Path) -> None:
    box = {"name": "box", "role": "inference", "http": {"url": "http://127.0.0.1:9"}}
    over_ssh = {"name": "other", "role": "training", "ssh": {"host": "127.0.0.1"}}
    for timeout_s, patience_s in ((5.0, 60.0), (60.0, 720.0)):
        settings = load_settings(
            {
                "run_dir": str(run_dir),
                "machines": [box, over_ssh],
                "intervals": {"machine_timeout_s": timeout_s},
            }
        )
        watching = Monitor(settings)
        patience = {s.name: s.patience_s for s in watching._sampler._sources}
        assert patience["http box"] == patience["ssh other"] == patience_s


def test_a_history_that_keeps_failing_is_named(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FAILING_AFTER_S", 0.3)

    def broken(self: RunHistory, index: object) -> object:
        raise OSError(errno.EIO, os.strerror(errno.EIO), "the/disk")

    with monkeypatch.context() as patched:
        patched.setattr(RunHistory, "_take_in", broken)
        monitor.history.want()
        wait_until(lambda: app_health(monitor).status == "failing", what="the failure")
        told = answer(monitor)
        assert told.status_code == 503
        assert told.json()["history"] == "failing"
        assert os.strerror(errno.EIO).lower() in told.json()["reasons"][0]
    wait_until(lambda: app_health(monitor).status == "ok", what="the recovery")
    assert answer(monitor).json()["history"] == "ready"


def test_one_failed_tick_is_no_failure(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = threading.Event()

    def broken(self: RunHistory, index: object) -> object:
        seen.set()
        raise OSError("once")

    monkeypatch.setattr(RunHistory, "_take_in", broken)
    monitor.history.want()
    assert seen.wait(PATIENCE_S)
    assert answer(monitor).status_code == 200


def test_a_source_that_hangs_is_named_and_what_only_fails_is_not() -> None:
    released = threading.Event()

    def fail() -> None:
        raise OSError("no card")

    hangs = Source("hangs", 0.01, lambda: released.wait(PATIENCE_S), patience_s=0.2)
    sampler = Sampler([hangs, Source("fails", 0.01, fail, patience_s=0.2)])
    sampler.start()
    wait_until(lambda: bool(sampler.hanging()), what="the hanging")
    assert set(sampler.hanging()) == {"hangs"}
    assert sampler.hanging()["hangs"] > 0.2
    released.set()
    wait_until(lambda: not sampler.hanging(), what="its end")
    sampler.stop()


def test_a_long_call_that_gets_on_does_not_hang() -> None:
    released = threading.Event()
    steps = [time.time()]
    source = Source(
        "long",
        0.01,
        lambda: released.wait(PATIENCE_S),
        patience_s=0.5,
        progressed_at=lambda: steps[-1],
    )
    sampler = Sampler([source])
    sampler.start()
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        steps.append(time.time())
        released.wait(0.02)
        assert not sampler.hanging()
    wait_until(lambda: bool(sampler.hanging()), what="the hanging")
    released.set()
    sampler.stop()


def test_a_source_that_hangs_makes_the_app_unwell(run_dir: Path) -> None:
    monitor = Monitor(load_settings({"run_dir": str(run_dir)}))
    released = threading.Event()
    hanging = Source("stuck driver", 0.01, lambda: released.wait(PATIENCE_S), patience_s=0.2)
    monitor._sampler._sources += (hanging,)
    monitor._sampler._samples["stuck driver"] = monitor._sampler._samples["training"]
    monitor.start()
    wait_until(lambda: app_health(monitor).status == "failing", what="the hanging")
    told = answer(monitor)
    assert told.status_code == 503
    assert "stuck driver: no answer for" in told.json()["reasons"][0]
    assert told.json()["sources"]["stuck driver"]["hangs_s"] > 0
    assert told.json()["sources"]["training"]["hangs_s"] is None
    released.set()
    wait_until(lambda: app_health(monitor).status == "ok", what="its end")
    monitor.stop()


def test_views_that_are_not_built_any_more_are_named(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STALE_AFTER_S", 1.5)

    def broken(self: Monitor) -> None:
        raise ValueError("a reading that no view can hold")

    with monkeypatch.context() as patched:
        patched.setattr(Monitor, "_tick", broken)
        wait_until(lambda: app_health(monitor).status == "failing", what="old views")
        told = answer(monitor)
        assert told.status_code == 503
        assert "the views are" in told.json()["reasons"][0]
    wait_until(lambda: app_health(monitor).status == "ok", what="new views")


def test_an_app_whose_threads_are_gone_says_so(monitor: Monitor) -> None:
    monitor.stop()
    told = answer(monitor)
    assert told.status_code == 503
    assert "sampling has stopped" in told.json()["reasons"]


def test_the_real_app_is_well_and_names_every_part(run_dir: Path, tmp_path: Path) -> None:
    with serving_app(run_dir, tmp_path / "log") as address:
        told = httpx.get(f"{address}/health", timeout=PATIENCE_S)
        assert told.status_code == 200
        assert set(told.json()) == {
            *("status", "reasons", "sampler_alive", "views_age_s", "history", "sources"),
        }


def test_a_new_start_is_wanted_where_the_app_itself_hangs(monitor: Monitor) -> None:
    well = app_health(monitor)
    history = well.sources["history"]
    assert not is_stuck(well)
    driver = {**well.sources, "gpu": SourceHealth(age_s=None, error=None, hangs_s=70.0)}
    assert not is_stuck(well.model_copy(update={"sources": driver, "status": "failing"}))
    for worse in (
        {"sampler_alive": False},
        {"views_age_s": 60.0},
        {"sources": {"history": history.model_copy(update={"hangs_s": 400.0})}},
    ):
        assert is_stuck(well.model_copy(update=worse))
