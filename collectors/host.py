"""This machine's CPU, memory, swap and the disk of the run directory, read through psutil.

All ``_gb`` values are GiB (2**30 bytes), as GPU tools and file managers count them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
