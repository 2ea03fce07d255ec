"""What the daemon trainer's inference server answers, part by part, in our units.

What is missing or of a wrong kind is None. Texts are one short line each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from collectors.json_values import finite, or_none
from collectors.machines.gpu.reading import GPU_VALUES, GpuReading, GpusReading
from collectors.machines.host import HostReading
from collectors.machines.remote_text import told_text

_GIB_PER_GB = 1e9 / 2**30  # the daemon trainer's server counts 10**9 bytes as one


def read_gpus(told: Mapping[str, Any]) -> GpusReading:
    """``/gpu``: one GPU, memory in MiB."""
    values: dict[str, Any] = {
        value.name: value.of(_number(told.get(value.server)))
        for value in GPU_VALUES
        if value.server is not None
    }
    gpu = GpuReading(
        uuid=text(told.get("uuid")) or "gpu-0",
        index=0,
        name=text(told.get("name")) or "GPU",
        **values,
    )
    return GpusReading(state="ok", driver_version=text(told.get("driver_version")), gpus=(gpu,))


def read_host(told: Mapping[str, Any], name: str) -> HostReading:
    """``/system``: the CPUs' use as a fraction, memory and disks in units of 10**9 bytes."""
    load = _number(told.get("cpu_load"))
    disks = dicts(told, "disk")
    disk = next((each for each in disks if each.get("mount") == "/"), next(iter(disks), {}))

    def gib(value: object) -> float | None:
        number = _number(value)
        return None if number is None else number * _GIB_PER_GB

    return HostReading(
        hostname=name,
        cpu_count=None,
        cpu_pct=None if load is None else 100 * load,
        load_1m=None,
        ram_used_gb=gib(told.get("ram_used_gb")),
        ram_total_gb=gib(told.get("ram_total_gb")),
        swap_used_gb=None,
        swap_total_gb=None,
        disk_path=Path(text(disk.get("mount")) or "/"),
        disk_used_gb=gib(disk.get("used_gb")),
        disk_total_gb=gib(disk.get("total_gb")),
        uptime_s=None,
    )


def took_ms(job: Mapping[str, Any]) -> float | None:
    try:
        began, ended = (
            datetime.fromisoformat(str(job[name])) for name in ("created_at", "completed_at")
        )
        took = (ended - began).total_seconds() * 1000
    except (KeyError, ValueError, TypeError):
        return None
    return took if took >= 0 else None


def dicts(told: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = told.get(name)
    listed: Iterable[object] = found if isinstance(found, list) else ()
    return [each for each in listed if isinstance(each, dict)]


def text(value: object) -> str | None:
    return (told_text(value) or None) if isinstance(value, str) else None


def _number(value: object) -> float | None:
    number = or_none(finite, value)
    return None if number is None or abs(number) >= 1e12 else number


def count(value: object) -> int | None:
    number = _number(value)
    return None if number is None or number < 0 else int(number)
