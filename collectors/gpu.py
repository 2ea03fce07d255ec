"""Every NVIDIA GPU of this machine, read through NVML.

All ``_gb`` values are GiB (2**30 bytes). A value that a card or driver does not tell is None, and
``GpuReading.notes`` says why where the reason is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

GpuState = Literal[
    "ok",
    "no_library",  # libnvidia-ml is not installed
    "no_driver",  # the kernel driver is not loaded
    "no_gpu",  # the driver works and finds no GPU
    "version_mismatch",  # the driver was updated under a running kernel module
    "no_permission",
    "error",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuReading:
    """What one look at one GPU found."""

    uuid: str
    index: int
    name: str
    temp_c: float | None = None
    temp_slowdown_c: float | None = None  # where the card begins to slow itself down
    util_pct: float | None = None
    vram_used_gb: float | None = None
    vram_total_gb: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    fan_pct: float | None = None
    throttle_reasons: tuple[str, ...] = ()  # "thermal", "power cap", ...: why clocks are held down
    problem: str | None = None  # the GPU as a whole is unwell (lost, needs a reset)
    notes: Mapping[str, str] = field(default_factory=dict)  # field name -> why it is None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpusReading:
    """All GPUs of this machine, or the state that explains why there are none."""

    state: GpuState
    message: str | None = None  # for a person: what is wrong and what to do
    driver_version: str | None = None
    gpus: tuple[GpuReading, ...] = ()
