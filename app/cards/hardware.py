"""Hardware: one column per machine, each value against its limit."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from app.cards import kit
from app.cards.draw_html import draw_html
from app.text.html import fill, join, text
from app.views.models import GpuStatus, Level, MachineStatus, ServerStatus
from collectors.machines.gpu.nvml import UNIFIED_MEMORY
from collectors.machines.gpu.reading import GPU_VALUES

TITLE = "Hardware"
OLD_S = 30.0


def draw(machines: Sequence[MachineStatus]) -> None:
    """Draw the card."""
    draw_html(html(machines))


def html(machines: Sequence[MachineStatus]) -> Markup:
    """The card as HTML."""
    if not machines:
        return kit.empty(
            TITLE, "No machine has been read yet.", "The first reading takes a moment."
        )
    return kit.card(TITLE, kit.columns(map(machine_html, machines)))


def machine_html(machine: MachineStatus) -> Markup:
    """One machine's part of the card."""
    parts = [
        fill("<h4>{} ({}) {}</h4>", machine.name, machine.role, _state(machine)),
        *([] if machine.online else [kit.problems([machine.message or "Not read yet."])]),
    ]
    parts += [_gpu(gpu, machine, named=len(machine.gpus) > 1) for gpu in machine.gpus]
    if machine.gpu_message is not None and machine.online:
        if machine.gpus:
            parts.append(kit.problems([machine.gpu_message]))
        else:
            parts.append(kit.note(machine.gpu_message))
    if machine.power_profile is not None:
        parts.append(kit.rows([("Power profile", text(machine.power_profile.capitalize()))]))
    if machine.server is not None and machine.server.online:
        parts.append(_server(machine.server))
    parts += _host(machine)
    if machine.online:
        for what, age_s in (("GPU", machine.gpu_age_s), ("Host", machine.host_age_s)):
            if age_s is not None and age_s > OLD_S:
                parts.append(kit.note(f"{what} read {kit.ago(age_s)}."))
    parts.append(kit.problems(machine.problems))
    return join(parts)


def _state(machine: MachineStatus) -> Markup:
    if machine.online:
        return kit.chip("online", "ok")
    seen_s = machine.last_seen_s
    return kit.chip("offline" if seen_s is None else f"offline, seen {kit.ago(seen_s)}", "warning")


def _host(machine: MachineStatus) -> list[Markup]:
    told = (machine.cpu_pct, machine.ram_used_gb, machine.disk_used_gb)
    if not machine.online or all(value is None for value in told):
        return []
    parts = [
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
    return parts


def _server(server: ServerStatus) -> Markup:
    told = [("Model", text(server.active_model or "none loaded"))]
    if server.requests_running is not None or server.requests_waiting is not None:
        running, waiting = (
            kit.number(value) for value in (server.requests_running, server.requests_waiting)
        )
        told.append(("Requests", fill("{} running, {} waiting", running, waiting)))
    if server.tokens_per_sec is not None:
        told.append(("Generating", kit.number(server.tokens_per_sec, 0, "tok/s")))
    if server.kv_cache_pct is not None:
        told.append(("KV cache", kit.number(server.kv_cache_pct, 0, "%")))
    return kit.rows(told)


def _gpu(gpu: GpuStatus, machine: MachineStatus, *, named: bool) -> Markup:
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
        fill('<p class="cr-note" style="margin-top:0">{}</p>', name),
        _meter("Temp", temp_pct, temp, gpu.level),
        _vram(gpu, machine),
        _meter("Utilisation", gpu.util_pct, _value(gpu, "util_pct", " %")),
        _meter("Power", power_pct, _value(gpu, "power_w", f"{watts} W")),
        kit.rows([(v.label, _value(gpu, v.name, f" {v.unit}")) for v in GPU_VALUES if v.on_card]),
    ]
    if gpu.mig_instances:
        names = ", ".join(part.name for part in gpu.mig_instances)
        parts.append(kit.note(f"Split by MIG: {names}."))
    if gpu.throttle_reasons:
        parts.append(kit.note(f"Clocks held down: {', '.join(gpu.throttle_reasons)}."))
    if gpu.problem is not None:
        parts.append(kit.problems([gpu.problem], "critical"))
    return join(parts)


def _meter(name: str, pct: float | None, value: Markup, level: Level = "ok") -> Markup:
    meter_level: Level = "ok" if level == "unknown" else level
    sign = "" if meter_level == "ok" else f"{kit.SYMBOLS[meter_level]} "
    return fill(
        '<div class="cr-barrow cr-meter"><span>{}</span>{}<span>{}{}</span></div>',
        name,
        kit.bar(pct, name, meter_level),
        sign,
        value,
    )


def _value(gpu: GpuStatus, field: str, unit: str) -> Markup:
    value: float | None = getattr(gpu, field)
    return kit.missing(gpu.notes.get(field)) if value is None else fill("{:.0f}{}", value, unit)


def _vram(gpu: GpuStatus, machine: MachineStatus) -> Markup:
    note = gpu.notes.get("vram_used_gb")
    if gpu.vram_used_gb is not None:
        return _meter("VRAM", gpu.vram_pct, _of_gb(gpu.vram_used_gb, gpu.vram_total_gb))
    if note == UNIFIED_MEMORY and machine.ram_used_gb is not None:
        # What it can fill up is the machine's.
        shared = _of_gb(machine.ram_used_gb, machine.ram_total_gb)
        return _meter("Shared RAM", machine.ram_pct, shared, machine.ram_level)
    return _meter("VRAM", None, kit.missing(note))


def _of_gb(used_gb: float | None, total_gb: float | None) -> Markup:
    """``20.1 / 24 GB``, in TB from 1000 GB on."""
    if used_gb is None:
        return kit.missing()
    biggest = total_gb if total_gb is not None else used_gb
    scale, unit = (1024, "TB") if biggest >= 1000 else (1, "GB")
    digits = 1 if biggest / scale < 100 else 0
    total = "" if total_gb is None else f" / {total_gb / scale:.{digits}f}"
    return text(f"{used_gb / scale:.{digits}f}{total} {unit}")
