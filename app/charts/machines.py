"""What a machine did over the last day, as charts: minutes in, Plotly figure out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.charts.base import DASHES, PALETTE, Chart, figure_of, pick, safe
from app.views.models import MachineStatus
from app.watch.machine_history import MINUTE_S, WHOLE_MACHINE, MachineMinute
from collectors.machines.gpu.reading import GPU_VALUES

_GAP_S = 2.5 * MINUTE_S  # a longer silence breaks the line


@dataclass(frozen=True, slots=True)
class _Kind:
    """One chart: the value drawn of each GPU and of the machine, in ``unit``."""

    title: str
    unit: str
    of_gpu: str | None
    of_machine: str | None
    machine_label: str = ""
    limit: str | None = None  # a field of GpuStatus, drawn as a line across
    top: float | None = None


_KINDS = (
    _Kind("Temperature", "°C", "temp_c", None, limit="temp_limit_c"),
    _Kind("Utilisation", "%", "util_pct", "cpu_pct", "CPU", top=100),
    _Kind("Memory", "%", "vram_pct", "ram_pct", "RAM", top=100),
    _Kind("Power", "W", "power_w", None, limit="power_limit_w"),
    *(_Kind(value.label, value.unit, value.name, None) for value in GPU_VALUES if value.over_time),
)


def machine_charts(
    machine: MachineStatus, minutes: Sequence[MachineMinute]
) -> Iterator[tuple[str, Chart]]:
    """Title and chart of temperature, utilisation, memory and power; no rows: nothing was told."""
    for kind in _KINDS:
        yield kind.title, _chart(kind, machine, minutes)


def _chart(kind: _Kind, machine: MachineStatus, minutes: Sequence[MachineMinute]) -> Chart:
    traces: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    devices = sorted({minute.device for minute in minutes})
    for device in devices:
        name = kind.of_machine if device == WHOLE_MACHINE else kind.of_gpu
        if name is None:
            continue
        own = [minute for minute in minutes if minute.device == device]
        told = [(each.minute, getattr(each, name)) for each in own]
        if all(value is None for _, value in told):
            continue
        label = kind.machine_label if device == WHOLE_MACHINE else own[-1].name
        traces.append(_line(label.partition(" · ")[0], told, len(traces), kind))
        rows += [
            {"time": _when(at), "machine": machine.name, "device": label, name: value}
            for at, value in told
            if value is not None
        ]
    limits = {
        limit
        for gpu in machine.gpus
        if kind.limit is not None and (limit := getattr(gpu, kind.limit)) is not None
    }
    figure = figure_of(
        traces,
        height=240,
        xaxis={"type": "date"},
        yaxis={"title": {"text": kind.unit}, "rangemode": "tozero", **_top(kind)},
        shapes=[_limit_line(limit) for limit in sorted(limits)],
        showlegend=len(traces) > 1 or (kind.of_machine is not None and bool(traces)),
    )
    return Chart(figure, _said(kind, traces, limits), _same_columns(rows))


def _line(label: str, told: Sequence[tuple[int, float | None]], place: int, kind: _Kind) -> Any:
    xs: list[str] = []
    ys: list[float | None] = []
    before: int | None = None
    for at, value in told:
        if before is not None and at - before > _GAP_S:
            xs.append(_when(before + MINUTE_S))
            ys.append(None)
        xs.append(_when(at))
        ys.append(None if value is None else round(value, 2))
        before = at
    return {
        "type": "scatter",
        "mode": "lines",
        "name": safe(label),
        "x": xs,
        "y": ys,
        "line": {"color": pick(PALETTE, place), "dash": pick(DASHES, place), "width": 1.8},
        "hovertemplate": f"%{{x|%H:%M}}: %{{y:.0f}} {kind.unit}<extra>{safe(label)}</extra>",
    }


def _limit_line(limit: float) -> Any:
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": limit,
        "y1": limit,
        "line": {"color": "gray", "dash": "dot", "width": 1},
        "label": {"text": "limit", "textposition": "end", "font": {"size": 11}},
    }


def _top(kind: _Kind) -> dict[str, Any]:
    return {} if kind.top is None else {"range": [0, kind.top]}


def _said(kind: _Kind, traces: Sequence[dict[str, Any]], limits: set[float]) -> str:
    """The newest and the highest value of each line."""
    told = []
    for trace in traces:
        values = [value for value in trace["y"] if value is not None]
        told.append(f"{trace['name']} {values[-1]:.0f} {kind.unit}, at most {max(values):.0f}")
    limit = f" Limit: {max(limits):.0f} {kind.unit}." if limits else ""
    return f"{'; '.join(told)}, in means of a minute.{limit}"


def _same_columns(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """GPUs and their machine tell the same thing under two names: one column for each."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name) for name in names} for row in rows]


def _when(epoch_s: int) -> str:
    """In the server's time zone, which is what Plotly then shows."""
    return datetime.fromtimestamp(epoch_s).astimezone().replace(tzinfo=None).isoformat()
