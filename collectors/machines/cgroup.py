"""The limits and the use of the container that this process runs in, from cgroup v2.

A container sees its own cgroup as the root of the hierarchy. A machine's real root has none of
these files, which reads as "no limit". Format: the kernel's admin-guide/cgroup-v2.
"""

from __future__ import annotations

from pathlib import Path


class Cgroup:
    """Reads one cgroup's directory. None everywhere: no limit, or not told."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def cpu_limit(self) -> float | None:
        """How many CPUs' time may be used (1.5 is one and a half); quota and cpuset together."""
        limits = []
        quota = (self._text("cpu.max") or "").split()
        if len(quota) == 2 and all(part.isdigit() for part in quota) and int(quota[1]):
            limits.append(int(quota[0]) / int(quota[1]))
        cpus = _count_cpus(self._text("cpuset.cpus.effective") or "")
        if cpus:
            limits.append(float(cpus))
        return min((limit for limit in limits if limit > 0), default=None)

    def cpu_used_s(self) -> float | None:
        """CPU seconds used since the cgroup began."""
        used_us = self._entry("cpu.stat", "usage_usec")
        return None if used_us is None else used_us / 1e6

    def memory_limit(self) -> int | None:
        return self._bytes("memory.max")

    def memory_used(self) -> int | None:
        """Bytes in use without the file cache that the kernel gives back first."""
        current = self._bytes("memory.current")
        if current is None:
            return None
        return max(0, current - (self._entry("memory.stat", "inactive_file") or 0))

    def swap_limit(self) -> int | None:
        return self._bytes("memory.swap.max")

    def swap_used(self) -> int | None:
        return self._bytes("memory.swap.current")

    def _text(self, name: str) -> str | None:
        try:
            return (self._root / name).read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            return None

    def _bytes(self, name: str) -> int | None:
        text = self._text(name)
        return int(text) if text is not None and text.isdecimal() else None

    def _entry(self, name: str, key: str) -> int | None:
        for line in (self._text(name) or "").splitlines():
            entry, _, value = line.partition(" ")
            if entry == key and value.isdecimal():
                return int(value)
        return None


def _count_cpus(ranges: str) -> int:
    """How many CPUs a list such as ``0-3,8`` names; 0 where it cannot be read."""
    count = 0
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            return 0
        count += int(last or first) - int(first) + 1
    return count
