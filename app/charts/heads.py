"""Attention heads as a heatmap: layers down, heads across."""

from __future__ import annotations

from collections.abc import Collection

from app.charts.base import Chart, figure_of
from control_room.history.questions.heads import HeadDiagnostics

LABELS = {
    "attention_entropy": "Attention entropy",
    "first_token_attention": "Attention to the first token",
    "grad_norm": "Gradient norm",
    "weight_norm": "Weight norm",
}
UNITS = {"attention_entropy": "nats", "first_token_attention": "of 1"}
_FEW_CELLS = 150  # more have no room for their numbers


def heads(found: HeadDiagnostics, name: str, marked: Collection[tuple[int, int]] = ()) -> Chart:
    """One metric at one step; the heads in ``marked`` (layer, head) have a ring."""
    values = found.values[name] or ()
    grid = [
        list(values[layer * found.heads : (layer + 1) * found.heads])
        for layer in range(found.layers)
        if values
    ]
    unit = UNITS.get(name, "")
    traces = [
        {
            "type": "heatmap",
            "z": grid,
            "colorscale": "Viridis",
            "colorbar": {"thickness": 12, "title": {"text": unit}},
            "xgap": 1,
            "ygap": 1,
            "texttemplate": "%{z:.3g}" if len(values) <= _FEW_CELLS else "",
            "hovertemplate": f"layer %{{y}}, head %{{x}}<br>%{{z:.4g}} {unit}<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "x": [head for _, head in marked],
            "y": [layer for layer, _ in marked],
            "marker": {
                "symbol": "circle-open",
                "size": 22,
                "color": "#ff5544",
                "line": {"width": 3},
            },
            "hoverinfo": "skip",
            "showlegend": False,
        },
    ]
    figure = figure_of(
        traces,
        height=min(900, max(240, 90 + (46 if found.layers <= 12 else 20) * found.layers)),
        xaxis={
            "title": {"text": "Head"},
            "range": [-0.5, found.heads - 0.5],
            "fixedrange": True,
            "dtick": 1 if found.heads <= 20 else None,
        },
        yaxis={
            "title": {"text": "Layer"},
            "range": [found.layers - 0.5, -0.5],
            "fixedrange": True,
            "dtick": 1 if found.layers <= 20 else None,
        },
    )
    rows = [
        {"step": found.step, "layer": layer, "head": head, name: value}
        for layer, line in enumerate(grid)
        for head, value in enumerate(line)
    ]
    said = f"{LABELS[name]} at step {found.step:,}."
    if values:
        said += f" From {min(values):.3g} to {max(values):.3g} {unit}."
    return Chart(figure, said, rows)
