"""The host collector: the machine as psutil sees it, and the container's limits where they bind."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from collectors.machines.cgroup import Cgroup
from collectors.machines.host import HostReading, HostWatch

GIB = 2**30


@pytest.fixture
def no_cgroup(tmp_path: Path) -> Path:
    return tmp_path / "no such cgroup"


@pytest.fixture
def cgroup(tmp_path: Path) -> Path:
    """A container's cgroup of half a CPU and 64 MiB."""
    root = tmp_path / "cgroup"
    root.mkdir()
    files = {
        "cpu.max": "50000 100000",
        "cpu.stat": "usage_usec 5000000\nuser_usec 4000000\nsystem_usec 1000000",
        "memory.max": str(64 * 2**20),
        "memory.current": str(48 * 2**20),
        "memory.stat": f"anon {20 * 2**20}\nactive_file 4096\ninactive_file {16 * 2**20}",
        "memory.swap.max": "max",
        "memory.swap.current": "0",
    }
    for name, text in files.items():
        (root / name).write_text(f"{text}\n")
    return root


def look_twice(watch: HostWatch, between: Callable[[], None]) -> HostReading:
    watch.read()
    between()
    return watch.read()


def burn_cpu(seconds: float) -> None:
    """Use this much CPU time, however long that takes."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        sum(range(1000))


class TestMachine:
    def test_agrees_with_psutil(self, tmp_path: Path, no_cgroup: Path) -> None:
        reading = HostWatch(tmp_path, cgroup_root=no_cgroup).read()
        disk = psutil.disk_usage(str(tmp_path))
        assert reading.hostname == socket.gethostname()
        assert reading.cpu_count == psutil.cpu_count()
        assert reading.ram_total_gb == psutil.virtual_memory().total / GIB
        assert reading.ram_used_gb is not None
        assert 0 < reading.ram_used_gb < reading.ram_total_gb
        assert reading.swap_total_gb == psutil.swap_memory().total / GIB
        assert reading.disk_path == tmp_path
        assert reading.disk_total_gb == disk.total / GIB
        assert reading.disk_used_gb == pytest.approx(disk.used / GIB, abs=1)
        assert reading.uptime_s == pytest.approx(time.time() - psutil.boot_time(), abs=60)
        assert reading.load_1m is not None
        assert reading.problem is None

    def test_the_first_look_tells_no_cpu_use(self, tmp_path: Path, no_cgroup: Path) -> None:
        assert HostWatch(tmp_path, cgroup_root=no_cgroup).read().cpu_pct is None

    def test_from_the_second_look_on_it_is_the_use_in_between(
        self, tmp_path: Path, no_cgroup: Path
    ) -> None:
        watch = HostWatch(tmp_path, cgroup_root=no_cgroup)
        reading = look_twice(watch, lambda: burn_cpu(0.3))
        assert reading.cpu_pct is not None
        assert 0 < reading.cpu_pct <= 100

    def test_another_user_of_psutil_does_not_disturb_it(
        self, tmp_path: Path, no_cgroup: Path
    ) -> None:
        def disturb() -> None:
            burn_cpu(0.3)
            psutil.cpu_percent()

        reading = look_twice(HostWatch(tmp_path, cgroup_root=no_cgroup), disturb)
        assert reading.cpu_pct is not None
        assert reading.cpu_pct > 0

    def test_waiting_for_a_disk_is_not_being_busy_and_a_guest_counts_once(
        self, tmp_path: Path, no_cgroup: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Times = namedtuple("Times", "user nice system idle iowait guest guest_nice")
        told = iter([Times(0, 0, 0, 0, 0, 0, 0), Times(30, 0, 10, 40, 20, 30, 0)])
        monkeypatch.setattr(psutil, "cpu_times", lambda: next(told))
        watch = HostWatch(tmp_path, cgroup_root=no_cgroup)
        reading = look_twice(watch, lambda: None)
        assert reading.cpu_pct == pytest.approx(40)


class TestContainer:
    def test_its_limits_are_what_there_is(self, tmp_path: Path, cgroup: Path) -> None:
        reading = HostWatch(tmp_path, cgroup_root=cgroup).read()
        assert reading.cpu_count == 0.5
        assert reading.ram_total_gb == 64 * 2**20 / GIB

    def test_file_cache_that_can_be_given_back_is_not_used(
        self, tmp_path: Path, cgroup: Path
    ) -> None:
        reading = HostWatch(tmp_path, cgroup_root=cgroup).read()
        assert reading.ram_used_gb == 32 * 2**20 / GIB

    def test_cpu_use_is_its_own_and_of_its_limit(self, tmp_path: Path, cgroup: Path) -> None:
        now = [100.0]
        watch = HostWatch(tmp_path, cgroup_root=cgroup, clock=lambda: now[0])

        def two_seconds_with_half_a_second_of_cpu() -> None:
            now[0] += 2
            (cgroup / "cpu.stat").write_text("usage_usec 5500000\n")

        reading = look_twice(watch, two_seconds_with_half_a_second_of_cpu)
        assert reading.cpu_pct == pytest.approx(50)

    def test_two_looks_at_the_same_moment_tell_no_cpu_use(
        self, tmp_path: Path, cgroup: Path
    ) -> None:
        watch = HostWatch(tmp_path, cgroup_root=cgroup, clock=lambda: 100.0)
        assert look_twice(watch, lambda: None).cpu_pct is None

    def test_a_limit_that_changes_starts_the_cpu_use_anew(
        self, tmp_path: Path, cgroup: Path
    ) -> None:
        watch = HostWatch(tmp_path, cgroup_root=cgroup)

        def halve() -> None:
            (cgroup / "cpu.max").write_text("25000 100000\n")

        reading = look_twice(watch, halve)
        assert (reading.cpu_count, reading.cpu_pct) == (0.25, None)

    @pytest.mark.parametrize("text", ["max 100000", "", "garbage", "5000000000 100000", "1 0"])
    def test_without_a_cpu_limit_below_the_machine_it_is_the_machine(
        self, tmp_path: Path, cgroup: Path, text: str
    ) -> None:
        (cgroup / "cpu.max").write_text(text)
        watch = HostWatch(tmp_path, cgroup_root=cgroup)
        reading = look_twice(watch, lambda: burn_cpu(0.1))
        assert reading.cpu_count == psutil.cpu_count()
        assert reading.cpu_pct is not None

    @pytest.mark.parametrize("text", ["max", "", "garbage", str(2**60)])
    def test_without_a_memory_limit_below_the_machine_it_is_the_machine(
        self, tmp_path: Path, cgroup: Path, text: str
    ) -> None:
        (cgroup / "memory.max").write_text(text)
        reading = HostWatch(tmp_path, cgroup_root=cgroup).read()
        assert reading.ram_total_gb == psutil.virtual_memory().total / GIB

    def test_more_cache_than_use_is_no_negative_use(self, cgroup: Path) -> None:
        (cgroup / "memory.stat").write_text(f"inactive_file {2**40}\n")
        assert Cgroup(cgroup).memory_used() == 0

    def test_swap_has_a_limit_too(
        self, tmp_path: Path, cgroup: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        swap = SimpleNamespace(total=8 * GIB, used=1 * GIB)
        monkeypatch.setattr(psutil, "swap_memory", lambda: swap)
        (cgroup / "memory.swap.max").write_text(f"{2 * GIB}\n")
        (cgroup / "memory.swap.current").write_text(f"{GIB // 2}\n")
        reading = HostWatch(tmp_path, cgroup_root=cgroup).read()
        assert (reading.swap_used_gb, reading.swap_total_gb) == (0.5, 2)

    @pytest.mark.parametrize(
        ("cpus", "limit"), [("0", 1), ("0-3,8", 5), ("", None), ("x", None), ("0-", 1)]
    )
    def test_a_cpuset_limits_as_a_quota_does(
        self, tmp_path: Path, cpus: str, limit: float | None
    ) -> None:
        (tmp_path / "cpuset.cpus.effective").write_text(f"{cpus}\n")
        assert Cgroup(tmp_path).cpu_limit() == limit


class TestDisk:
    def test_of_a_run_directory_that_is_not_there_yet_it_is_the_nearest_parents(
        self, tmp_path: Path
    ) -> None:
        reading = HostWatch(tmp_path / "runs" / "next").read()
        assert reading.disk_path == tmp_path
        assert reading.disk_total_gb == psutil.disk_usage(str(tmp_path)).total / GIB
        assert reading.problem is None

    def test_below_a_file_it_is_that_files(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert HostWatch(tmp_path / "file" / "run").read().disk_path == tmp_path / "file"

    def test_a_relative_run_directory_is_told_whole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert HostWatch(Path("run")).read().disk_path == tmp_path

    def test_one_that_cannot_be_read_is_named_with_the_reason(self, tmp_path: Path) -> None:
        too_long = tmp_path / ("x" * 300)
        reading = HostWatch(too_long).read()
        assert (reading.disk_used_gb, reading.disk_total_gb) == (None, None)
        assert str(too_long) in (reading.problem or "")
        assert os.strerror(errno.ENAMETOOLONG) in (reading.problem or "")
        assert reading.ram_total_gb is not None


class TestWhatCannotBeRead:
    @pytest.mark.parametrize(
        ("function", "fields"),
        [
            ("cpu_times", {"cpu_pct"}),
            ("virtual_memory", {"ram_used_gb", "ram_total_gb"}),
            ("swap_memory", {"swap_used_gb", "swap_total_gb"}),
            ("boot_time", {"uptime_s"}),
        ],
    )
    @pytest.mark.parametrize(
        "error", [PermissionError(13, "Permission denied"), psutil.AccessDenied(), KeyError("x")]
    )
    def test_one_failure_drops_nothing_else(
        self,
        tmp_path: Path,
        no_cgroup: Path,
        monkeypatch: pytest.MonkeyPatch,
        function: str,
        fields: set[str],
        error: Exception,
    ) -> None:
        def fail() -> None:
            raise error

        watch = HostWatch(tmp_path, cgroup_root=no_cgroup)
        look_twice(watch, lambda: burn_cpu(0.05))
        burn_cpu(0.05)
        monkeypatch.setattr(psutil, function, fail)
        reading = watch.read()
        names = set(HostReading.__dataclass_fields__) - {"problem"}
        assert {name for name in names if getattr(reading, name) is None} == fields
        assert "cannot read" in (reading.problem or "")
