"""Several runs in one chart: curves over each other, and settings against what came of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.charts import DASHES, PALETTE, Chart, figure_of, pick, safe
from app.run_table import RunSummary, outcomes, setting_text
from control_room.smoothing import smoothed

_NOT_TOLD = "not told"

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
    """Settings that differ and what came of them, one line through all axes for each run."""
    outcome_names = sorted({name for run in runs for name in outcomes(run)})
    columns = {name: [run.config.get(name) for run in runs] for name in settings}
    columns |= {name: [outcomes(run).get(name) for run in runs] for name in outcome_names}
    columns = {n: values for n, values in columns.items() if any(v is not None for v in values)}
    if len(runs) < 2 or len(columns) < 2:
        return Chart({"data": [], "layout": {}}, "")
    figure = figure_of(
        [
            {
                "type": "parcoords",
                "line": {
                    "color": list(range(len(runs))),
                    "colorscale": [[0, PALETTE[0]], [1, PALETTE[1]]],
                },
                "dimensions": [_axis(name, values) for name, values in columns.items()],
            }
        ],
        height=360,
        margin={"l": 70, "r": 70, "t": 60, "b": 30},
    )
    rows = [
        {"run": run.name, **{name: values[place] for name, values in columns.items()}}
        for place, run in enumerate(runs)
    ]
    return Chart(figure, "Settings that differ, and what came of them.", rows)


def _axis(name: str, values: Sequence[Any]) -> dict[str, Any]:
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) == len(values):
        return {"label": safe(name), "values": numbers, "tickformat": ".4~g"}
    told = [_NOT_TOLD if value is None else setting_text(value) for value in values]
    names = sorted(set(told))
    places = [names.index(each) for each in told]
    return {
        "label": safe(name),
        "values": places,
        "tickvals": list(range(len(names))),
        "ticktext": [each[:18] for each in names],  # unlike the label, Plotly shows it as it is
        "range": [-0.2, len(names) - 0.8],
    }
