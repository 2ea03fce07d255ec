"""A day of every machine: means of minutes, kept beside the run, bounded, never in the way."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from app.views.models import GpuStatus, JobQueueStatus, MachineStatus
from app.views.readings import with_trend
from app.watch.machine_history import KEPT_S, MINUTE_S, WHOLE_MACHINE, MachineHistory

START = 1_800_000_000 // MINUTE_S * MINUTE_S


class Clock:
    def __init__(self) -> None:
        self.now = float(START)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def history(tmp_path: Path, clock: Clock) -> MachineHistory:
    return MachineHistory(tmp_path / "cache", ready=lambda: True, clock=clock)


def seen(
    temp_c: float | None = 60, cpu_pct: float = 10, online: bool = True, pending: int | None = None
) -> tuple[tuple[MachineStatus], tuple[JobQueueStatus]]:
    gpu = GpuStatus(uuid="GPU-a", index=0, name="RTX", temp_c=temp_c, power_w=100)
    machine = MachineStatus(
        name="box",
        role="inference",
        online=online,
        gpus=(gpu,) if online else (),
        cpu_pct=cpu_pct if online else None,
    )
    return (machine,), (JobQueueStatus(kind="eval", machine="box", pending=pending),)


def test_a_minute_is_the_mean_of_its_looks_and_the_highest_temperature(
    history: MachineHistory, clock: Clock
) -> None:
    for temp_c, cpu_pct, online in ((60, 10, True), (70, 30, True), (None, 0, False)):
        history.take(*seen(temp_c, cpu_pct, online))
        clock.now += 10
    clock.now = START + MINUTE_S
    history.take(*seen())
    machine, gpu = history.minutes("box", since=0)
    assert (machine.device, machine.cpu_pct, machine.minute) == (WHOLE_MACHINE, 20, START)
    assert machine.online == pytest.approx(2 / 3)
    assert (gpu.device, gpu.name) == ("GPU-a", "GPU 0 · RTX")
    assert (gpu.temp_c, gpu.temp_max_c, gpu.power_w) == (65, 70, 100)
    assert gpu.cpu_pct is None


def test_it_survives_a_restart(tmp_path: Path, clock: Clock, history: MachineHistory) -> None:
    history.take(*seen())
    history.close()
    again = MachineHistory(tmp_path / "cache", ready=lambda: True, clock=clock)
    clock.now += 5
    again.take(*seen())
    assert len(again.minutes("box", since=0)) == 2
    again.close()


def test_what_is_older_than_a_day_goes(history: MachineHistory, clock: Clock) -> None:
    for hour in range(30):
        clock.now = START + hour * 3600
        history.take(*seen())
    clock.now += MINUTE_S
    history.take(*seen())
    minutes = history.minutes("box", since=0)
    assert clock.now - minutes[0].minute <= KEPT_S
    assert len({minute.minute for minute in minutes}) == 24


def test_nothing_is_written_before_there_is_a_run(tmp_path: Path, clock: Clock) -> None:
    exists = False
    history = MachineHistory(tmp_path / "cache", ready=lambda: exists, clock=clock)
    for _ in range(3):
        history.take(*seen())
        clock.now += MINUTE_S
    assert not (tmp_path / "cache").exists()
    assert history.minutes("box", since=0)
    exists = True
    history.take(*seen())
    assert (tmp_path / "cache" / "machines.sqlite").exists()
    assert len(history.minutes("box", since=0)) == 6, "what was held in memory came along"


@pytest.mark.parametrize("content", [b"this is no database, far from it" * 100, b"SQLite format 3"])
def test_a_damaged_file_is_begun_anew(tmp_path: Path, clock: Clock, content: bytes) -> None:
    file = tmp_path / "cache" / "machines.sqlite"
    file.parent.mkdir()
    file.write_bytes(content)
    history = MachineHistory(file.parent, ready=lambda: True, clock=clock)
    history.take(*seen())
    clock.now += MINUTE_S
    history.take(*seen())
    assert len(history.minutes("box", since=0)) == 2
    history.close()
    assert file.read_bytes().startswith(b"SQLite format 3\x00")


def test_one_of_another_version_is_begun_anew(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "cache" / "machines.sqlite"
    file.parent.mkdir()
    with sqlite3.connect(file) as other:
        other.execute("PRAGMA user_version = 99")
        other.execute("CREATE TABLE machine_minutes (other TEXT)")
    other.close()
    history = MachineHistory(file.parent, ready=lambda: True, clock=clock)
    history.take(*seen())
    history.close()
    with sqlite3.connect(file) as now:
        assert now.execute("SELECT count(*) FROM machine_minutes").fetchone() == (2,)
    now.close()


def test_a_place_that_cannot_be_written_means_memory(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "cache").write_text("a file where the directory should be")
    history = MachineHistory(tmp_path / "cache", ready=lambda: True, clock=clock)
    history.take(*seen())
    clock.now += MINUTE_S
    history.take(*seen())
    assert len(history.minutes("box", since=0)) == 2


def test_a_queues_trend_is_its_last_hour(history: MachineHistory, clock: Clock) -> None:
    for minute in range(90):
        clock.now = START + minute * MINUTE_S
        trends = history.take(*seen(pending=minute))
    queue = JobQueueStatus(kind="eval", machine="box", pending=89)
    shown = with_trend(queue, trends).pending_history
    assert len(shown) == 60
    assert (shown[0], shown[-1]) == (29, 88)
    other = JobQueueStatus(kind="preview", machine="box", pending=1)
    assert with_trend(other, trends).pending_history == ()
