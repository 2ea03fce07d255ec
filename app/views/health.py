"""The traffic lights: what a person should worry about first, in words as well as in colour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from app.settings import Thresholds
from app.views.models import GpuStatus, HealthLight, Level, MachineStatus
from collectors.files.training import TrainingReading
from collectors.machines.gpu.reading import GpuReading

GapStatus = Literal["good", "warning", "overfitting"]

NOT_READ_YET = "Not read yet."

_SEVERITY: dict[Level, int] = {"unknown": 0, "ok": 0, "warning": 1, "critical": 2}


def worst(levels: Sequence[Level]) -> Level:
    """The most severe of ``levels``; "unknown" when none is known."""
    known = [level for level in levels if level != "unknown"]
    return max(known, key=lambda level: _SEVERITY[level], default="unknown")


def gpu_level(gpu: GpuReading, thresholds: Thresholds) -> Level:
    """How hot or unwell one GPU is, against its own slowdown limit where it tells one."""
    if gpu.problem is not None:
        return "critical"
    if gpu.temp_c is None:
        return "unknown"
    limit = gpu.temp_slowdown_c
    critical = thresholds.gpu_temp_critical_c if limit is None else limit
    warning = (
        thresholds.gpu_temp_warning_c if limit is None else limit - thresholds.gpu_temp_margin_c
    )
    if gpu.temp_c >= critical:
        return "critical"
    return "warning" if gpu.temp_c >= warning else "ok"


def usage_level(pct: float | None, warning_pct: float) -> Level:
    """How full a memory or a disk is; one that is all but full is critical."""
    if pct is None:
        return "unknown"
    if pct >= (100 + warning_pct) / 2:
        return "critical"
    return "warning" if pct >= warning_pct else "ok"


def gap_status(gap: float | None, thresholds: Thresholds) -> GapStatus | None:
    """What the gap between validation and training loss says about overfitting."""
    if gap is None or not math.isfinite(gap):
        return None
    if gap >= thresholds.val_train_gap_overfitting:
        return "overfitting"
    return "warning" if gap >= thresholds.val_train_gap_warning else "good"


def machine_issues(machines: Sequence[MachineStatus]) -> list[tuple[Level, str]]:
    """What ends a run that is healthy in itself: a full memory or disk, a machine that is gone."""
    gone: list[tuple[Level, str]] = [
        ("warning", f"{machine.name} does not answer")
        for machine in machines
        if not machine.online and machine.message != NOT_READ_YET
    ]
    return gone + [
        (level, f"{machine.name}: {what} {pct:.0f} % full")
        for machine in machines
        for what, level, pct in (
            ("RAM", machine.ram_level, machine.ram_pct),
            ("disk", machine.disk_level, machine.disk_pct),
        )
        if pct is not None and level in ("warning", "critical")
    ]


def health_lights(
    training: TrainingReading | None,
    machines: Sequence[MachineStatus],
) -> tuple[HealthLight, ...]:
    """Loss, throughput, GPU temperature and liveness, in that order."""
    return (
        _loss_light(training),
        _throughput_light(training),
        _gpu_light([gpu for machine in machines for gpu in machine.gpus]),
        _liveness_light(training),
    )


_LOSS: dict[str | None, tuple[Level, str]] = {
    "improving": ("ok", "Loss falling"),
    "stable": ("ok", "Loss stable"),
    "rising": ("warning", "Loss rising"),
}
_THROUGHPUT: dict[str | None, tuple[Level, str]] = {
    "normal": ("ok", "Throughput normal"),
    "excellent": ("ok", "Throughput above baseline"),
    "degraded": ("warning", "Throughput below baseline"),
}


def _loss_light(training: TrainingReading | None) -> HealthLight:
    if training is not None and training.loss is not None and not math.isfinite(training.loss):
        return HealthLight(name="Loss", level="critical", text=f"Loss is {training.loss}")
    trend = None if training is None else training.loss_trend
    level, text = _LOSS.get(trend, ("unknown", "Loss trend not known yet"))
    return HealthLight(name="Loss", level=level, text=text)


def _throughput_light(training: TrainingReading | None) -> HealthLight:
    trend = None if training is None else training.throughput_trend
    level, text = _THROUGHPUT.get(trend, ("unknown", "Throughput not known yet"))
    return HealthLight(name="Throughput", level=level, text=text)


def _gpu_light(gpus: Sequence[GpuStatus]) -> HealthLight:
    level = worst([gpu.level for gpu in gpus])
    if level == "unknown":
        return HealthLight(name="GPU", level=level, text="No GPU reading")
    first = next(gpu for gpu in gpus if gpu.level == level)
    if first.problem is not None:
        text = f"GPU {first.index}: {first.problem}"
    elif level == "ok":
        hottest = max(gpu.temp_c for gpu in gpus if gpu.temp_c is not None)
        text = f"GPU {hottest:.0f} °C"
    else:
        text = f"GPU {first.index} hot: {first.temp_c:.0f} °C"
    return HealthLight(name="GPU", level=level, text=text)


def _liveness_light(training: TrainingReading | None) -> HealthLight:
    name = "Liveness"
    if training is None or training.liveness.state == "unknown":
        return HealthLight(name=name, level="unknown", text="No trainer seen")
    if training.status == "crashed":
        return HealthLight(name=name, level="critical", text="Crashed")
    if training.liveness.state == "stalled":
        return HealthLight(name=name, level="critical", text="Stalled")
    if training.liveness.state == "ended":
        return HealthLight(name=name, level="ok", text="Ended")
    return HealthLight(
        name=name, level="ok", text="Paused" if training.status == "paused" else "Writing"
    )
