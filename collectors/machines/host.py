"""This machine's CPU, memory, swap and the disk of the run directory, read through psutil.

All ``_gb`` values are GiB (2**30 bytes), as GPU tools and file managers count them. In a container
its limits (cgroup v2) and its own use count, where they are below the machine's.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

from collectors.machines.cgroup import Cgroup

T = TypeVar("T")

_BYTES_PER_GB = 2**30
# What psutil raises for a /proc that is hidden, cut down or of an unknown kind.
_UNREADABLE = (psutil.Error, OSError, RuntimeError, ValueError, LookupError)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReading:
    """What one look at this machine found. None means that the platform does not tell."""

    hostname: str
    cpu_count: float | None  # what this process may use: a container's limit, not the machine's
    cpu_pct: float | None  # of that, 0-100
    load_1m: float | None
    ram_used_gb: float | None
    ram_total_gb: float | None
    swap_used_gb: float | None
    swap_total_gb: float | None
    disk_path: Path
    disk_used_gb: float | None
    disk_total_gb: float | None
    uptime_s: float | None
    problem: str | None = None  # e.g. the run directory's disk cannot be read


class HostWatch:
    """Looks at this machine again and again; the CPU's use is that since the look before.

    ``run_dir`` names the disk to watch: its own, or its nearest existing parent's.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        cgroup_root: Path = Path("/sys/fs/cgroup"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run_dir = run_dir
        self._cgroup = Cgroup(cgroup_root)
        self._clock = clock
        self._cpu_before: tuple[str, float, float] | None = None  # source, busy and total seconds

    def read(self) -> HostReading:
        """Look once. Never raises for what cannot be read: that is None, and ``problem`` says."""
        problems: list[str] = []

        def guarded(what: str, read: Callable[[], T]) -> T | None:
            try:
                return read()
            except _UNREADABLE as error:
                reason = error.strerror if isinstance(error, OSError) else None
                problems.append(f"cannot read {what}: {reason or error}")
                return None

        cpu_count = guarded("the CPU count", self._cpu_count)
        cpu_pct = guarded("the CPU's use", self._cpu_pct)
        ram = guarded("the memory", self._ram)
        swap = guarded("the swap", self._swap)
        disk = guarded(f"the disk of {self._run_dir}", lambda: disk_of(self._run_dir))
        return HostReading(
            hostname=socket.gethostname(),
            cpu_count=cpu_count,
            cpu_pct=cpu_pct,
            load_1m=guarded("the load", lambda: os.getloadavg()[0]),
            ram_used_gb=_gb(ram, 0),
            ram_total_gb=_gb(ram, 1),
            swap_used_gb=_gb(swap, 0),
            swap_total_gb=_gb(swap, 1),
            disk_path=self._run_dir if disk is None else disk[0],
            disk_used_gb=_gb(disk, 1),
            disk_total_gb=_gb(disk, 2),
            uptime_s=guarded("the uptime", lambda: max(0.0, time.time() - psutil.boot_time())),
            problem="; ".join(problems) or None,
        )

    def _cpu_limit(self) -> float | None:
        """The container's limit where it is below what the machine has."""
        machine, limit = psutil.cpu_count(), self._cgroup.cpu_limit()
        return limit if limit is not None and (machine is None or limit < machine) else None

    def _cpu_count(self) -> float | None:
        limit, machine = self._cpu_limit(), psutil.cpu_count()
        return float(machine) if limit is None and machine is not None else limit

    def _cpu_pct(self) -> float | None:
        now = self._cpu_times()
        before, self._cpu_before = self._cpu_before, now
        if before is None or before[0] != now[0] or now[2] <= before[2]:
            return None
        return 100 * min(1.0, max(0.0, (now[1] - before[1]) / (now[2] - before[2])))

    def _cpu_times(self) -> tuple[str, float, float]:
        """Where it was read, busy seconds, and the seconds that could have been busy; both grow."""
        limit, used_s = self._cpu_limit(), self._cgroup.cpu_used_s()
        if limit is not None and used_s is not None:
            return f"container of {limit:g} CPUs", used_s, self._clock() * limit
        times = psutil.cpu_times()
        # As psutil's own cpu_percent: Linux counts a guest's time in user and nice as well, and
        # waiting for a disk is not being busy.
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        return "machine", total - times.idle - getattr(times, "iowait", 0.0), total

    def _ram(self) -> tuple[int, int]:
        """Bytes used and in all. What the kernel would give back at once is not used."""
        machine = psutil.virtual_memory()
        limit = self._cgroup.memory_limit()
        if limit is not None and limit < machine.total:
            used = self._cgroup.memory_used()
            if used is not None:
                return min(used, limit), limit
        return machine.total - machine.available, machine.total

    def _swap(self) -> tuple[int, int]:
        machine = psutil.swap_memory()
        limit = self._cgroup.swap_limit()
        if limit is not None and limit < machine.total:
            used = self._cgroup.swap_used()
            if used is not None:
                return min(used, limit), limit
        return machine.used, machine.total


def disk_of(directory: Path) -> tuple[Path, int, int]:
    """The nearest existing directory at or above ``directory``; its disk's used and total bytes.

    Raises OSError when that disk cannot be read.
    """
    nearest = directory.absolute()
    while True:
        try:
            usage = psutil.disk_usage(str(nearest))
        except (FileNotFoundError, NotADirectoryError):
            if nearest == nearest.parent:
                raise
            nearest = nearest.parent
        else:
            return nearest, usage.used, usage.total


def _gb(values: tuple[object, ...] | None, position: int) -> float | None:
    value = None if values is None else values[position]
    return value / _BYTES_PER_GB if isinstance(value, int) else None
