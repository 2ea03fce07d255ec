"""Charts of the Analytics page: the heatmap, exact match, failure modes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.charts.base import (
    DASHES,
    HATCHES,
    PALETTE,
    SYMBOLS,
    Chart,
    Figure,
    figure_of,
    pick,
    safe,
    shortened,
)
from app.views.length_bins import bin_label
from control_room.history.questions.aggregates import BinRate, FailureShare, HeatmapCell, StepRate
from control_room.statistics.exact_match import ExactMatchRate

_GREEN, _YELLOW, _RED, _BLANK = "#8fd0a4", "#f3d27a", "#f1a29b", "rgba(128,128,128,0.12)"


_CELL_TEXT = "#16211f"


@dataclass(frozen=True, slots=True)
class HeatmapLimits:
    """Above which EM a cell is green or yellow, and below how many samples it is marked."""

    green_above: float
    yellow_above: float
    few_samples: int


def heatmap(cells: Sequence[HeatmapCell], edges: Sequence[int], limits: HeatmapLimits) -> Chart:
    """Pattern by golden length. Each cell can be clicked: its ``customdata`` is pattern and bin."""
    patterns = sorted({cell.pattern for cell in cells}, reverse=True)
    lows: list[int | None] = list(edges)
    if any(cell.low is None for cell in cells):
        lows.append(None)
    found = {(cell.pattern, cell.low): cell.rate for cell in cells}
    squares: list[Mapping[str, Any]] = []
    texts: list[Mapping[str, Any]] = []
    targets: list[tuple[int, int, list[Any], str]] = []
    rows: list[dict[str, Any]] = []
    for y, pattern in enumerate(patterns):
        for x, low in enumerate(lows):
            rate = found.get((pattern, low), ExactMatchRate(0, 0))
            label = bin_label(edges, low)
            colour, text = _cell(rate, limits)
            squares.append(_square(x, y, colour))
            texts.append(
                {
                    "x": x,
                    "y": y,
                    "text": text,
                    "showarrow": False,
                    "font": {"size": 13, "color": _CELL_TEXT if rate.count else "gray"},
                }
            )
            if rate.count:
                said = f"<b>{safe(pattern)}</b>, {label} tokens<br>{_said(rate)}"
                targets.append((x, y, [pattern, low], said))
                rows.append({"pattern": pattern, "length": label, **_rate_row(rate)})
    figure = figure_of(
        [
            {
                "type": "scatter",
                "mode": "markers",
                "x": [x for x, _, _, _ in targets],
                "y": [y for _, y, _, _ in targets],
                "customdata": [data for _, _, data, _ in targets],
                "hovertext": [said for _, _, _, said in targets],
                "hoverinfo": "text",
                "marker": {"symbol": "square", "size": 30, "opacity": 0},
                "selected": {"marker": {"opacity": 0}},
                "unselected": {"marker": {"opacity": 0}},
                "showlegend": False,
            }
        ],
        height=max(150, 70 + 46 * len(patterns)),
        shapes=squares,
        annotations=texts,
        hovermode="closest",
        hoverdistance=-1,  # a whole cell answers, not only its middle
        dragmode=False,
        xaxis={
            **_FIXED,
            "range": [-0.5, len(lows) - 0.5],
            "tickvals": list(range(len(lows))),
            "ticktext": [bin_label(edges, low) for low in lows],
            "title": {"text": "Golden answer, tokens"},
            "side": "top",
        },
        yaxis={
            **_FIXED,
            "range": [-0.5, len(patterns) - 0.5],
            "tickvals": list(range(len(patterns))),
            "ticktext": [safe(shortened(pattern)) for pattern in patterns],
        },
    )
    worst = min(rows, key=lambda row: row["em"], default=None)
    description = "Exact match by pattern and golden answer length."
    if worst is not None:
        description += (
            f" Lowest: {worst['pattern']}, {worst['length']} tokens, {100 * worst['em']:.0f} % of "
            f"{worst['count']}."
        )
    return Chart(figure, description, rows)


def em_over_steps(points: Sequence[StepRate]) -> Chart:
    """One line for each group, every point with its interval."""
    traces = []
    groups = sorted({point.group for point in points})
    for place, group in enumerate(groups):
        own = [point for point in points if point.group == group]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": safe(group),
                "x": [(point.first_step + point.last_step) / 2 for point in own],
                **_rates([point.rate for point in own]),
                "customdata": [
                    [point.first_step, point.last_step, *_counts(point.rate)] for point in own
                ],
                "hovertemplate": (
                    "steps %{customdata[0]:,}-%{customdata[1]:,}<br>%{y:.0%} of %{customdata[2]:,} "
                    "(%{customdata[3]:.0%}-%{customdata[4]:.0%})"
                ),
                "line": {"color": pick(PALETTE, place), "dash": pick(DASHES, place), "width": 2},
                "marker": {"symbol": pick(SYMBOLS, place), "size": 6},
            }
        )
    rows = [
        {
            "group": point.group,
            "first_step": point.first_step,
            "last_step": point.last_step,
            **_rate_row(point.rate),
        }
        for point in points
    ]
    figure = figure_of(traces, xaxis={"title": {"text": "Step"}}, yaxis=_EM_AXIS)
    latest = ", ".join(f"{group} {100 * _last(points, group):.0f} %" for group in groups)
    return Chart(figure, f"Exact match over steps with 95 % intervals; latest: {latest}.", rows)


def failure_shares(shares: Sequence[FailureShare]) -> Chart:
    """How the failures divide among the modes."""
    figure = figure_of(
        [
            {
                "type": "bar",
                "orientation": "h",
                "y": [safe(_mode(share.failure_mode)) for share in reversed(shares)],
                "x": [share.share for share in reversed(shares)],
                "customdata": [share.count for share in reversed(shares)],
                "text": [f"{100 * share.share:.0f} %" for share in reversed(shares)],
                "textposition": "auto",
                "textangle": 0,
                "hovertemplate": "%{y}: %{customdata:,} (%{x:.1%})<extra></extra>",
                "marker": {"color": PALETTE[0]},
            }
        ],
        xaxis={"title": {"text": "Share of failures"}, "tickformat": ".0%", "rangemode": "tozero"},
        yaxis={"automargin": True, "fixedrange": True},
    )
    said = ", ".join(f"{_mode(s.failure_mode)} {100 * s.share:.0f} %" for s in shares[:3])
    return Chart(figure, f"Failures by mode: {said}.", [_share_row(share) for share in shares])


def failures_over_steps(shares: Sequence[FailureShare]) -> Chart:
    """The shares of the modes, stretch by stretch of the run."""
    counts = Counter[str]()
    for share in shares:
        counts[share.failure_mode] += share.count
    modes = [mode for mode, _ in counts.most_common()]
    traces = []
    for place, mode in enumerate(modes):
        own = [share for share in shares if share.failure_mode == mode]
        traces.append(
            {
                "type": "bar",
                "name": safe(_mode(mode)),
                "x": [(share.first_step + share.last_step) / 2 for share in own],
                "y": [share.share for share in own],
                "width": [share.last_step - share.first_step + 1 for share in own],
                "customdata": [[s.first_step, s.last_step, s.count, s.failures] for s in own],
                "hovertemplate": (
                    "steps %{customdata[0]:,}-%{customdata[1]:,}<br>"
                    "%{customdata[2]:,} of %{customdata[3]:,} (%{y:.0%})"
                ),
                "marker": {
                    "color": pick(PALETTE, place),
                    "pattern": {
                        "shape": pick(HATCHES, place),
                        "fillmode": "overlay",
                        "fgcolor": "rgba(255,255,255,0.6)",
                        "solidity": 0.2,
                    },
                },
            }
        )
    figure = figure_of(
        traces,
        barmode="stack",
        xaxis={"title": {"text": "Step"}},
        yaxis={"tickformat": ".0%", "range": [0, 1], "title": {"text": "Share of failures"}},
    )
    return Chart(
        figure,
        f"Shares of the failure modes over steps: {', '.join(map(_mode, modes))}.",
        [_share_row(share) for share in shares],
    )


def em_by_bin(bins: Sequence[BinRate], *, axis: str, unit_digits: int = 0) -> Chart:
    """EM over a measure in bins, every bar with its interval."""
    labels = [
        f"{each.low:.{unit_digits}f}+"
        if each.high is None
        else f"{each.low:.{unit_digits}f}-{each.high:.{unit_digits}f}"
        for each in bins
    ]
    figure = figure_of(
        [
            {
                "type": "bar",
                "x": labels,
                **_rates([each.rate for each in bins]),
                "customdata": [_counts(each.rate) for each in bins],
                "hovertemplate": (
                    "%{x}: %{y:.0%} of %{customdata[0]:,} "
                    "(%{customdata[1]:.0%}-%{customdata[2]:.0%})<extra></extra>"
                ),
                "marker": {"color": PALETTE[0]},
            }
        ],
        xaxis={"title": {"text": axis}, "type": "category"},
        yaxis=_EM_AXIS,
    )
    rows = [{"from": b.low, "to": b.high, **_rate_row(b.rate)} for b in bins]
    best = max(rows, key=lambda row: row["em"], default=None)
    said = f"Exact match with 95 % intervals by: {axis}."
    if best is not None:
        label = labels[rows.index(best)]
        said += f" Highest at {label}: {100 * best['em']:.0f} % of {best['count']:,}."
    return Chart(figure, said, rows)


_FIXED = {"fixedrange": True, "showgrid": False, "zeroline": False, "automargin": True}


_EM_AXIS = {"tickformat": ".0%", "range": [0, 1.02], "title": {"text": "Exact match"}}


def _cell(rate: ExactMatchRate, limits: HeatmapLimits) -> tuple[str, str]:
    """A cell's colour, and its text: a sign for the level, EM, and the samples."""
    if rate.em is None:
        return _BLANK, "–"
    if rate.em > limits.green_above:
        colour, sign = _GREEN, "✓"
    elif rate.em >= limits.yellow_above:
        colour, sign = _YELLOW, "▲"
    else:
        colour, sign = _RED, "✕"
    few = ", few" if rate.count < limits.few_samples else ""
    return colour, f"{sign} <b>{100 * rate.em:.0f} %</b><br><sup>n={rate.count:,}{few}</sup>"


def _square(x: int, y: int, colour: str) -> Mapping[str, Any]:
    return {
        "type": "rect",
        "layer": "below",
        "x0": x - 0.48,
        "x1": x + 0.48,
        "y0": y - 0.46,
        "y1": y + 0.46,
        "fillcolor": colour,
        "line": {"width": 0},
    }


def _rates(rates: Sequence[ExactMatchRate]) -> Figure:
    values = [rate.em or 0.0 for rate in rates]
    ends = [rate.interval or (0.0, 1.0) for rate in rates]
    return {
        "y": values,
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [high - value for value, (_, high) in zip(values, ends, strict=True)],
            "arrayminus": [value - low for value, (low, _) in zip(values, ends, strict=True)],
            "thickness": 1.2,
            "width": 0,
            "color": "rgba(128,128,128,0.9)",
        },
    }


def _counts(rate: ExactMatchRate) -> list[float]:
    low, high = rate.interval or (0.0, 1.0)
    return [rate.count, low, high]


def _rate_row(rate: ExactMatchRate) -> dict[str, Any]:
    low, high = rate.interval or (None, None)
    return {
        "em": rate.em,
        "em_low": low,
        "em_high": high,
        "correct": rate.correct,
        "count": rate.count,
    }


def _share_row(share: FailureShare) -> dict[str, Any]:
    return {
        "failure_mode": share.failure_mode,
        "first_step": share.first_step,
        "last_step": share.last_step,
        "count": share.count,
        "failures": share.failures,
        "share": share.share,
    }


def _said(rate: ExactMatchRate) -> str:
    low, high = rate.interval or (0.0, 1.0)
    return (
        f"EM {100 * (rate.em or 0):.1f} % ({rate.correct:,} of {rate.count:,})<br>"
        f"95 % interval {100 * low:.0f}-{100 * high:.0f} %"
    )


def _last(points: Sequence[StepRate], group: str) -> float:
    return next(point.rate.em or 0.0 for point in reversed(points) if point.group == group)


def _mode(mode: str) -> str:
    return mode.replace("_", " ")
