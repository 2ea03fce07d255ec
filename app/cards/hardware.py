"""Hardware: one column per machine, each value against its limit."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from app.cards import kit
from app.views import GpuStatus, Level, MachineStatus

TITLE = "Hardware"
OLD_S = 30.0


def draw(machines: Sequence[MachineStatus]) -> None:
    """Draw the card."""
    st.html(html(machines))


def html(machines: Sequence[MachineStatus]) -> str:
    """The card as HTML."""
    if not machines:
        return kit.empty(
            TITLE, "No machine has been read yet.", "The first reading takes a moment."
        )
    columns = "".join(f"<div>{_machine(machine)}</div>" for machine in machines)
    return kit.card(TITLE, f'<div class="cr-machines">{columns}</div>')


def _machine(machine: MachineStatus) -> str:
    parts = [kit.heading(f"{machine.name} ({machine.role})")]
    parts += [_gpu(gpu, named=len(machine.gpus) > 1) for gpu in machine.gpus]
    if machine.gpu_message is not None and not machine.gpus:
        parts.append(kit.note(machine.gpu_message))
    parts += [
        _meter("CPU", machine.cpu_pct, kit.number(machine.cpu_pct, 0, "%")),
        _meter(
            "RAM",
            machine.ram_pct,
            _of_gb(machine.ram_used_gb, machine.ram_total_gb),
            machine.ram_level,
        ),
        _meter(
            "Disk",
            machine.disk_pct,
            _of_gb(machine.disk_used_gb, machine.disk_total_gb),
            machine.disk_level,
        ),
    ]
    if machine.swap_used_gb:
        parts.append(kit.rows([("Swap", _of_gb(machine.swap_used_gb, machine.swap_total_gb))]))
    for what, age_s in (("GPU", machine.gpu_age_s), ("Host", machine.host_age_s)):
        if age_s is not None and age_s > OLD_S:
            parts.append(kit.note(f"{what} read {kit.ago(age_s)}."))
    parts.append(kit.problems(machine.problems))
    return "".join(parts)


def _gpu(gpu: GpuStatus, *, named: bool) -> str:
    name = f"GPU {gpu.index} · {gpu.name}" if named else gpu.name
    limit = "" if gpu.temp_limit_c is None else f" / {gpu.temp_limit_c:.0f}"
    temp = _value(gpu, "temp_c", f"{limit} °C")
    temp_pct = None if gpu.temp_c is None else 100 * gpu.temp_c / (gpu.temp_limit_c or 100.0)
    watts = "" if gpu.power_limit_w is None else f" / {gpu.power_limit_w:.0f}"
    power_pct = (
        100 * gpu.power_w / gpu.power_limit_w
        if gpu.power_w is not None and gpu.power_limit_w
        else None
    )
    parts = [
        f'<p class="cr-note" style="margin-top:0">{escape(name)}</p>',
        _meter("Temp", temp_pct, temp, gpu.level),
        _meter("VRAM", gpu.vram_pct, _vram(gpu)),
        _meter("Utilisation", gpu.util_pct, _value(gpu, "util_pct", " %")),
        _meter("Power", power_pct, _value(gpu, "power_w", f"{watts} W")),
        kit.rows([("Fan", _value(gpu, "fan_pct", " %"))]),
    ]
    if gpu.throttle_reasons:
        parts.append(kit.note(f"Clocks held down: {', '.join(gpu.throttle_reasons)}."))
    if gpu.problem is not None:
        parts.append(kit.problems([gpu.problem], "critical"))
    return "".join(parts)


def _meter(name: str, pct: float | None, value: str, level: Level = "ok") -> str:
    meter_level: Level = "ok" if level == "unknown" else level
    sign = "" if meter_level == "ok" else f"{kit.SYMBOLS[meter_level]} "
    return (
        f'<div class="cr-barrow cr-meter"><span>{escape(name)}</span>'
        f"{kit.bar(pct, name, meter_level)}<span>{sign}{value}</span></div>"
    )


def _value(gpu: GpuStatus, field: str, unit: str) -> str:
    value: float | None = getattr(gpu, field)
    return kit.missing(gpu.notes.get(field)) if value is None else f"{value:.0f}{escape(unit)}"


def _vram(gpu: GpuStatus) -> str:
    if gpu.vram_used_gb is None:
        return kit.missing(gpu.notes.get("vram_used_gb"))
    return _of_gb(gpu.vram_used_gb, gpu.vram_total_gb)


def _of_gb(used_gb: float | None, total_gb: float | None) -> str:
    """``20.1 / 24 GB``, in TB from 1000 GB on."""
    if used_gb is None:
        return kit.missing()
    biggest = total_gb if total_gb is not None else used_gb
    scale, unit = (1024, "TB") if biggest >= 1000 else (1, "GB")
    digits = 1 if biggest / scale < 100 else 0
    total = "" if total_gb is None else f" / {total_gb / scale:.{digits}f}"
    return f"{used_gb / scale:.{digits}f}{total} {unit}"
