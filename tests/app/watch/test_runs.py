"""Several runs: found by the settings, watched when somebody looks, let go when nobody does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import load_settings
from app.watch.monitor import Monitor
from app.watch.runs import Runs
from control_room import Recorder
from tests.support import wait_until


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def runs(tmp_path: Path, clock: Clock) -> Iterator[Runs]:
    for name in ("a", "b"):
        with Recorder(tmp_path / name) as recorder:
            recorder.update_status(current_step=len(name), model_name=f"model {name}")
    (tmp_path / "not a run").mkdir()
    main = Monitor(load_settings({"run_dir": str(tmp_path / "a"), "runs": [str(tmp_path / "*")]}))
    main.start()
    found = Runs(main, clock=clock)
    yield found
    found.close()
    main.stop()


def test_directories_with_a_status_or_logs_are_runs(runs: Runs) -> None:
    assert list(runs.directories()) == ["a", "b"]


def test_new_ones_are_found_after_a_while(runs: Runs, tmp_path: Path, clock: Clock) -> None:
    assert "c" not in runs.directories()
    (tmp_path / "c" / "logs").mkdir(parents=True)
    clock.now += 6
    assert "c" in runs.directories()


def test_runs_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    for parent in ("x", "y"):
        (tmp_path / parent / "run" / "logs").mkdir(parents=True)
    settings = load_settings(
        {"run_dir": str(tmp_path / "x" / "run"), "runs": [str(tmp_path / "*" / "run")]}
    )
    assert list(Runs(Monitor(settings)).directories()) == ["x/run", "y/run"]


@pytest.mark.parametrize("name", [None, "a", "gone", ""])
def test_no_name_or_an_unknown_one_means_the_main_run(runs: Runs, name: str | None) -> None:
    assert runs.monitor(name) is runs.main


def test_another_run_is_watched_with_the_machines_of_the_main_one(runs: Runs) -> None:
    other = runs.monitor("b")
    assert other is runs.monitor("b")
    wait_until(lambda: other.views.live.current_model_name == "model b", what="its status")
    wait_until(lambda: bool(other.views.system.machines), what="the machines")
    assert other.machine_history is runs.main.machine_history
    assert "machine_history" not in other.sources
    assert runs.main.views.live.current_model_name == "model a"


def test_a_run_whose_directory_goes_away_stays_as_it_was(
    runs: Runs, clock: Clock, tmp_path: Path
) -> None:
    other = runs.monitor("b")
    (tmp_path / "b").rename(tmp_path.parent / f"{tmp_path.name}-gone")
    clock.now += 6
    assert "b" not in runs.directories()
    assert runs.monitor("b") is other


def test_a_run_that_nobody_looks_at_is_let_go(runs: Runs, clock: Clock) -> None:
    other = runs.monitor("b")
    clock.now += 1000
    runs.monitor(None)
    assert not other.alive()
    assert runs.monitor("b") is not other


def test_paths_in_the_settings_are_relative_to_the_working_directory(tmp_path: Path) -> None:
    settings = load_settings({"runs": ["runs/*"]}, working_dir=tmp_path)
    assert settings.runs == (str(tmp_path / "runs/*"),)


def test_old_days_of_another_run_are_never_touched(tmp_path: Path) -> None:
    for name in ("a", "b"):
        log = tmp_path / name / "logs" / "metrics" / "metrics_2020-01-01.jsonl"
        log.parent.mkdir(parents=True)
        log.write_text("{}\n")
    settings = load_settings(
        {
            "run_dir": str(tmp_path / "a"),
            "runs": [str(tmp_path / "*")],
            "retention": {"enabled": True},
        }
    )
    main = Monitor(settings)
    main.start()
    runs = Runs(main)
    try:
        other = runs.monitor("b")
        wait_until(lambda: not list((tmp_path / "a").rglob("metrics_*")), what="a's retention")
        wait_until(lambda: other.sources["training"].reading is not None, what="b's reading")
        assert "retention" not in other._sampler.samples()
        assert len(list((tmp_path / "b").rglob("metrics_*"))) == 1
    finally:
        runs.close()
        main.stop()
