"""Several runs in one chart: curves over each other, and settings against what came of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from app.charts.base import DASHES, PALETTE, Chart, figure_of, pick, safe
from app.watch.run_table import RunSummary, outcomes, setting_text
from control_room.recording.metrics import METRICS
from control_room.statistics.smoothing import smoothed

_NOT_TOLD = "not told"
_LONGEST_MARK = 18

EM = "EM of the fixed set"
_LABELS = {metric.name: metric.label for metric in METRICS if metric.curve}
# What the Runs page draws, by name: how well it does first.
CURVES = {**{name: _LABELS[name] for name in ("loss", "val_loss")}, EM: EM, **_LABELS}

Points = Sequence[tuple[int, float]]


def overlay(
    curves: Mapping[str, Points],
    *,
    totals: Mapping[str, int],
    label: str,
    weight: float,
    is_rate: bool,
) -> Chart:
    """One line for each run; where it is smoothed, the values themselves stand faintly behind.

    ``totals``: how many values each run has, of which its curve may have fewer.
    """
    traces: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for place, (name, points) in enumerate(curves.items()):
        steps, values = [step for step, _ in points], [value for _, value in points]
        line = {"color": pick(PALETTE, place), "dash": pick(DASHES, place), "width": 2}
        calm = smoothed(values, weight)
        if weight:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "x": steps,
                    "y": values,
                    "line": {"color": line["color"], "width": 1},
                    "opacity": 0.25,
                    "hoverinfo": "skip",
                    "showlegend": False,
                }
            )
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": safe(name),
                "x": steps,
                "y": calm,
                "line": line,
                "hovertemplate": "%{y:.1%}" if is_rate else "%{y:.4g}",
                "showlegend": True,
            }
        )
        rows += [
            {"run": name, "step": step, "value": value, "smoothed": mean}
            for step, value, mean in zip(steps, values, calm, strict=True)
        ]
    axis: dict[str, Any] = {"title": {"text": label}}
    figure = figure_of(
        traces,
        height=380,
        hovermode="x unified",
        xaxis={"title": {"text": "Step"}},
        yaxis={**axis, "tickformat": ".0%"} if is_rate else axis,
    )
    newest = ", ".join(f"{name} {points[-1][1]:.3g}" for name, points in curves.items() if points)
    thinned = [
        f"of {name} {len(points):,} of {totals[name]:,}"
        for name, points in curves.items()
        if len(points) < totals[name]
    ]
    left_out = f"{', '.join(thinned)} values are drawn." if thinned else ""
    said = f"{label} over steps; newest: {newest}."
    return Chart(figure, said, rows, left_out[:1].upper() + left_out[1:])


def parallel(runs: Sequence[RunSummary], settings: Sequence[str]) -> Chart:
    """Settings that differ and what came of them, one line through all axes for each run.

    Of plain lines: Plotly's own parallel coordinates run text as scripts, which no page may.
    """
    outcome_names = sorted({name for run in runs for name in outcomes(run)})
    columns = {name: [run.config.get(name) for run in runs] for name in settings}
    columns |= {name: [outcomes(run).get(name) for run in runs] for name in outcome_names}
    columns = {n: values for n, values in columns.items() if any(v is not None for v in values)}
    if len(runs) < 2 or len(columns) < 2:
        return Chart({"data": [], "layout": {}}, "")
    axes = [_axis(values) for values in columns.values()]
    places = list(range(len(axes)))
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": safe(run.name),
            "x": places,
            "y": [axis[number].height for axis in axes],
            "customdata": [
                [safe(name), safe(axis[number].text)]
                for name, axis in zip(columns, axes, strict=True)
            ],
            "hovertemplate": "%{customdata[0]}: %{customdata[1]}",
            "line": {"color": pick(PALETTE, number), "dash": pick(DASHES, number), "width": 2},
            "marker": {"size": 9},
            "showlegend": True,
        }
        for number, run in enumerate(runs)
    ]
    labels = [safe(name) for name in columns]
    figure = figure_of(
        traces,
        height=360,
        annotations=[mark for place, axis in enumerate(axes) for mark in _marks(place, axis)],
        xaxis={"tickvals": places, "ticktext": labels, "side": "bottom", "zeroline": False},
        yaxis={"visible": False, "range": [-0.15, 1.15]},
    )
    rows = [
        {"run": run.name, **{name: values[place] for name, values in columns.items()}}
        for place, run in enumerate(runs)
    ]
    return Chart(figure, "Settings that differ, and what came of them.", rows)


@dataclass(frozen=True, slots=True)
class _OnAxis:
    """Where a run crosses an axis: 0 at the bottom to 1 at the top, and what it is there."""

    height: float
    text: str


def _axis(values: Sequence[Any]) -> list[_OnAxis]:
    """Of numbers: from the lowest to the highest. Of anything else: by name, evenly."""
    numbers = [
        float(value)
        for value in values
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    ]
    if len(numbers) == len(values):
        low, span = min(numbers), max(numbers) - min(numbers)
        return [_OnAxis((n - low) / span if span else 0.5, f"{n:.4g}") for n in numbers]
    told = [_NOT_TOLD if value is None else setting_text(value) for value in values]
    names = sorted(set(told))
    last = len(names) - 1
    return [_OnAxis(names.index(each) / last if last else 0.5, each) for each in told]


def _marks(place: int, axis: Sequence[_OnAxis]) -> list[dict[str, Any]]:
    """The ends of an axis in words."""
    ends = {each.height: each.text for each in axis if each.height in (0, 0.5, 1)}
    return [
        {
            "x": place,
            "y": -0.1 if height == 0 else height + 0.1,
            "text": safe(text if len(text) <= _LONGEST_MARK else f"{text[: _LONGEST_MARK - 1]}…"),
            "showarrow": False,
        }
        for height, text in ends.items()
    ]
