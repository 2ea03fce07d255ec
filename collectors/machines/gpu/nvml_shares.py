"""Who shares a GPU: the processes on it, and the parts that MIG splits it into, asked of NVML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import psutil

from collectors.machines.gpu.nvml import MIG_ENABLED, Metric, UnsupportedError, answer, memory_gb
from collectors.machines.gpu.nvml_errors import UNSUPPORTED, Code
from collectors.machines.gpu.reading import GpuProcess, MigInstance
from collectors.machines.remote_text import process_name

_BYTES_PER_GB = 2**30
_BLANK = 2**64 - 1  # what drivers write where they have no value
# Newest first: which of them a driver answers depends on its age.
_VERSIONS = ("_v3", "_v2", "")


def _processes(lib: Any, handle: Any) -> tuple[GpuProcess, ...]:
    """Whatever computes or draws on the GPU, the biggest first. The two lists overlap."""
    found: dict[int, float | None] = {}
    told = 0
    for kind in ("Compute", "Graphics"):
        calls = [(f"nvmlDeviceGet{kind}RunningProcesses{version}", ()) for version in _VERSIONS]
        try:
            listed = answer(lib, handle, *calls)
        except UnsupportedError:
            continue
        told += 1
        for process in listed:
            found[process.pid] = _bigger(found.get(process.pid), _gb(process.usedGpuMemory))
    if not told:
        raise UnsupportedError
    return biggest_first(
        GpuProcess(pid=pid, name=_name(pid), vram_used_gb=gb) for pid, gb in found.items()
    )


def biggest_first(processes: Iterable[GpuProcess]) -> tuple[GpuProcess, ...]:
    """Sorted by memory, those of unknown memory last."""
    return tuple(sorted(processes, key=lambda process: (-(process.vram_used_gb or 0), process.pid)))


def _gb(size: int | None) -> float | None:
    return None if size is None or size == _BLANK else size / _BYTES_PER_GB


def _bigger(one: float | None, other: float | None) -> float | None:
    return max((gb for gb in (one, other) if gb is not None), default=None)


def _name(pid: int) -> str | None:
    """None for a process that has ended, or that runs in another container."""
    try:
        return process_name(psutil.Process(pid).name()) or None
    except psutil.Error:
        return None


def _mig_instances(lib: Any, handle: Any) -> tuple[MigInstance, ...]:
    current, _pending = answer(lib, handle, ("nvmlDeviceGetMigMode", ()))
    if current != MIG_ENABLED:
        return ()
    count = answer(lib, handle, ("nvmlDeviceGetMaxMigDeviceCount", ()))
    found = []
    for index in range(count):
        try:
            part = lib.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
        except lib.NVMLError as error:
            if error.value in (Code.NOT_FOUND, Code.INVALID_ARGUMENT):
                continue  # no part has this number
            raise
        found.append(_mig_instance(lib, part, index))
    return tuple(found)


def _mig_instance(lib: Any, part: Any, index: int) -> MigInstance:
    def text(function: str, otherwise: str) -> str:
        try:
            told = getattr(lib, function)(part)
        except lib.NVMLError as error:
            if error.value not in UNSUPPORTED:
                raise
            return otherwise
        return told.decode(errors="replace") if isinstance(told, bytes) else str(told)

    try:
        memory: Mapping[str, float] = memory_gb(lib, part)
    except UnsupportedError:
        memory = {}
    return MigInstance(
        uuid=text("nvmlDeviceGetUUID", f"unknown-{index}"),
        name=text("nvmlDeviceGetName", "MIG instance"),
        **memory,
    )


METRICS = (
    Metric(
        "processes",
        lambda lib, gpu: {"processes": _processes(lib, gpu)},
        ("processes",),
    ),
    Metric("mig_instances", lambda lib, gpu: {"mig_instances": _mig_instances(lib, gpu)}, ()),
)
