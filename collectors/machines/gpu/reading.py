"""What one look at the GPUs of a machine found, whoever looked: NVML, nvidia-smi or a server.

All ``_gb`` values are GiB (2**30 bytes). A value that a card or driver does not tell is None, and
``GpuReading.notes`` says why where the reason is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from collectors.machines.gpu.nvml import NO_FAN, NOT_TOLD, UNIFIED_MEMORY
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
class GpuValue:
    """A number that is read of a GPU, under the name that it has in ``GpuReading`` and the view.

    A new one is a field and a row here, a question in nvml.py, and a field in the view
    (``GpuStatus``). The card, the Prometheus line, its day and chart, and what nvidia-smi and the
    daemon trainer's server are asked follow from the row.
    """

    name: str
    label: str
    unit: str  # "GB" is told by others in units of 1/1024
    # Where an answer of nvidia-smi or a server can be true, in its own unit.
    lowest: float
    highest: float
    smi: str | None = None  # what nvidia-smi calls it
    server: str | None = None  # what the daemon trainer's server calls it
    why_not: str | None = None  # why nvidia-smi may not tell it, where that is known
    prometheus: str | None = None  # without the prefix control_room_
    meaning: str = ""  # one sentence, for Prometheus
    on_card: bool = True  # as a row; else the card has another form for it
    over_time: bool = True  # its day is kept and drawn; else in another form, or not at all

    def of(self, told: float | None) -> float | None:
        """What nvidia-smi or a server told, in ``unit``; None where it cannot be true."""
        if told is None or not self.lowest <= told <= self.highest:
            return None
        return told / 1024 if self.unit == "GB" else told


# In the order of ``GpuReading``.
GPU_VALUES: tuple[GpuValue, ...] = (
    GpuValue(
        name="temp_c",
        label="Temp",
        unit="°C",
        lowest=-50,
        highest=150,
        smi="temperature.gpu",
        server="temperature_gpu",
        prometheus="gpu_temperature_celsius",
        meaning="GPU temperature.",
        on_card=False,
        over_time=False,
    ),
    GpuValue(
        name="temp_slowdown_c",
        label="Slows down at",
        unit="°C",
        lowest=-99,
        highest=150,
        smi="temperature.gpu.tlimit",  # how far below it the card is
        on_card=False,
        over_time=False,
    ),
    GpuValue(
        name="util_pct",
        label="Utilisation",
        unit="%",
        lowest=0,
        highest=100,
        smi="utilization.gpu",
        server="utilization_gpu",
        why_not=NOT_TOLD,
        prometheus="gpu_utilization_ratio",
        meaning="GPU in use.",
        on_card=False,
        over_time=False,
    ),
    GpuValue(
        name="vram_used_gb",
        label="VRAM",
        unit="GB",
        lowest=0,
        highest=2**30,
        smi="memory.used",
        server="memory_used_mb",
        why_not=UNIFIED_MEMORY,
        prometheus="gpu_memory_used_bytes",
        meaning="GPU memory in use.",
        on_card=False,
        over_time=False,
    ),
    GpuValue(
        name="vram_total_gb",
        label="VRAM in all",
        unit="GB",
        lowest=1,
        highest=2**30,
        smi="memory.total",
        server="memory_total_mb",
        prometheus="gpu_memory_total_bytes",
        meaning="GPU memory.",
        on_card=False,
        over_time=False,
    ),
    GpuValue(
        name="power_w",
        label="Power",
        unit="W",
        lowest=0,
        highest=20_000,
        smi="power.draw",
        server="power_draw_w",
        prometheus="gpu_power_watts",
        meaning="GPU power draw.",
        on_card=False,
        over_time=False,
    ),
    GpuValue(
        name="power_limit_w",
        label="Power limit",
        unit="W",
        lowest=1,
        highest=20_000,
        smi="enforced.power.limit",
        server="power_limit_w",
        prometheus="gpu_power_limit_watts",
        meaning="GPU power limit.",
        on_card=False,
        over_time=False,
    ),
    GpuValue(
        name="fan_pct",
        label="Fan",
        unit="%",
        lowest=0,
        highest=200,
        smi="fan.speed",
        server="fan_speed_pct",
        why_not=NO_FAN,
        prometheus="gpu_fan_speed_ratio",
        meaning="GPU fan speed.",
        over_time=False,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpusReading:
    """All GPUs of a machine, or the state that explains why there are none."""

    state: GpuState
    message: str | None = None  # for a person: what is wrong and what to do
    driver_version: str | None = None
    gpus: tuple[GpuReading, ...] = ()
