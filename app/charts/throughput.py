"""Throughput against memory, for choosing batch size and sequence length."""

from __future__ import annotations

from collections.abc import Sequence

from app.charts.base import PALETTE, SYMBOLS, Chart, Figure, drawn_of, figure_of, pick
from control_room.history.questions.aggregates import (
    ThroughputPoint,
    ThroughputPoints,
    ThroughputSetting,
)


def throughput(points: ThroughputPoints, settings: Sequence[ThroughputSetting]) -> Chart:
    """Speed against memory, by batch size and sequence length; the best and the limit marked."""
    shown = [point for point in points.drawn if point.vram_used_gb is not None]
    left_out = [drawn_of(len(points.drawn), points.total, "samples")]
    if unplaced := len(points.drawn) - len(shown):
        do = (
            "does not tell its memory and is"
            if unplaced == 1
            else "do not tell their memory and are"
        )
        left_out.append(f"{unplaced:,} of them {do} left out.")
    traces = _few_settings(shown, settings) if len(settings) <= 12 else [_many_settings(shown)]
    best = next((s for s in settings if s.vram_used_gb_max is not None), None)
    limit = memory_limit_gb(settings)
    said = "Throughput against memory."
    annotations, shapes = [], []
    if best is not None:
        name = setting_label(best.batch_size, best.sequence_length)
        said += f" Fastest: {name} with {best.tokens_per_sec_median:,.0f} tokens/s (median)."
        annotations.append(
            {
                "x": best.vram_used_gb_max,
                "y": best.tokens_per_sec_median,
                "text": f"★ fastest: {best.tokens_per_sec_median:,.0f} tokens/s",
                "showarrow": True,
                "arrowhead": 2,
                "ax": 0,
                "ay": -36,
            }
        )
    if limit is not None:
        said += f" Memory ends at {limit:.0f} GB."
        shapes.append(
            {
                "type": "line",
                "xref": "x",
                "yref": "paper",
                "x0": limit,
                "x1": limit,
                "y0": 0,
                "y1": 1,
                "line": {"dash": "dash", "width": 2, "color": "#c0392b"},
            }
        )
        annotations.append(
            {
                "x": limit,
                "y": 0,
                "yref": "paper",
                "text": f"limit {limit:.0f} GB",
                "showarrow": False,
                "xanchor": "right",
                "yanchor": "bottom",
            }
        )
    figure = figure_of(
        traces,
        shapes=shapes,
        annotations=annotations,
        xaxis={"title": {"text": "Memory used, GB"}},
        yaxis={"title": {"text": "Tokens per second"}, "rangemode": "tozero"},
    )
    rows = [
        {
            "step": point.step,
            "tokens_per_sec": point.tokens_per_sec,
            "vram_used_gb": point.vram_used_gb,
            "vram_pct": point.vram_pct,
            "batch_size": point.batch_size,
            "sequence_length": point.sequence_length,
        }
        for point in shown
    ]
    return Chart(figure, said, rows, " ".join(filter(None, left_out)))


def _few_settings(
    points: Sequence[ThroughputPoint], settings: Sequence[ThroughputSetting]
) -> list[Figure]:
    """A trace for each setting: colour tells the sequence length, shape the batch size."""
    batches = sorted({point.batch_size for point in points}, key=_known_first)
    lengths = sorted({point.sequence_length for point in points}, key=_known_first)
    traces: list[Figure] = []
    for setting in settings:
        pair = (setting.batch_size, setting.sequence_length)
        own = [point for point in points if (point.batch_size, point.sequence_length) == pair]
        if own:
            marker = {
                "color": pick(PALETTE, lengths.index(setting.sequence_length)),
                "symbol": pick(SYMBOLS, batches.index(setting.batch_size)),
                "size": 7,
                "opacity": 0.7,
            }
            traces.append({**_markers(own, marker), "name": setting_label(*pair)})
    return traces


def _many_settings(points: Sequence[ThroughputPoint]) -> Figure:
    """One trace for all: the colour scale tells the sequence length, size the batch size."""
    largest = max((point.batch_size or 0 for point in points), default=0) or 1
    marker = {
        "color": [point.sequence_length for point in points],
        "colorscale": "Viridis",
        "showscale": True,
        "colorbar": {"title": {"text": "Sequence<br>tokens"}, "thickness": 12},
        "size": [6 + 12 * ((point.batch_size or 0) / largest) ** 0.5 for point in points],
        "opacity": 0.75,
    }
    return {**_markers(points, marker), "name": "", "showlegend": False}


def _markers(points: Sequence[ThroughputPoint], marker: Figure) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [point.vram_used_gb for point in points],
        "y": [point.tokens_per_sec for point in points],
        "customdata": [
            [
                "step not told" if point.step is None else f"step {point.step:,}",
                setting_label(point.batch_size, point.sequence_length),
            ]
            for point in points
        ],
        "hovertemplate": (
            "%{customdata[1]}<br>%{y:,.0f} tokens/s at %{x:.3~g} GB<br>%{customdata[0]}"
            "<extra></extra>"
        ),
        "marker": marker,
    }


def memory_limit_gb(settings: Sequence[ThroughputSetting]) -> float | None:
    """All the memory there is, from the samples that say how full it was."""
    for setting in settings:
        if setting.vram_used_gb_max is not None and setting.vram_pct_max:
            return 100 * setting.vram_used_gb_max / setting.vram_pct_max
    return None


def setting_label(batch_size: int | None, sequence_length: int | None) -> str:
    """``batch 16, 2,048 tokens``."""
    batch = "batch ?" if batch_size is None else f"batch {batch_size:,}"
    return batch if sequence_length is None else f"{batch}, {sequence_length:,} tokens"


def _known_first(value: int | None) -> tuple[bool, int]:
    return value is None, value or 0
