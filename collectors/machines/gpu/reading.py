"""What one look at the GPUs of a machine found, whoever looked: NVML, nvidia-smi or a server.

All ``_gb`` values are GiB (2**30 bytes). A value that a card or driver does not tell is None, and
``GpuReading.notes`` says why where the reason is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from collectors.machines.gpu.nvml_errors import GpuState


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """A process that uses a GPU. What another container runs may have neither name nor memory."""

    pid: int
    name: str | None = None
    vram_used_gb: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MigInstance:
    """One of the parts that a GPU is split into by MIG."""

    uuid: str
    name: str
    vram_used_gb: float | None = None
    vram_total_gb: float | None = None


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
    mig_instances: tuple[MigInstance, ...] = ()
    processes: tuple[GpuProcess, ...] | None = None  # None: not told
    notes: Mapping[str, str] = field(default_factory=dict)  # field name -> why it is None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpusReading:
    """All GPUs of a machine, or the state that explains why there are none."""

    state: GpuState
    message: str | None = None  # for a person: what is wrong and what to do
    driver_version: str | None = None
    gpus: tuple[GpuReading, ...] = ()
