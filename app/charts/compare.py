"""Charts of a comparison: where the flips are."""

from __future__ import annotations

from collections.abc import Sequence

from app.charts.base import PALETTE, Chart, figure_of, safe
from control_room.history.questions.comparison import Flips

_FIXED, _BROKEN = PALETTE[0], PALETTE[1]


def by_pattern(flips: Sequence[Flips]) -> Chart:
    """Bars to the right for fixed, to the left for broken."""
    told = [each for each in flips if each.fixed or each.broken]
    chart = _butterfly([(each.group, each.fixed, each.broken) for each in told])
    rows = [
        {"pattern": e.group, "common": e.common, "fixed": e.fixed, "broken": e.broken}
        for e in flips
    ]
    return Chart(chart.figure, chart.description, rows if told else [])


def by_mode(fixed: Sequence[tuple[str, int]], broken: Sequence[tuple[str, int]]) -> Chart:
    """Of fixed examples how they failed before, of broken ones how they fail now."""
    counts_fixed, counts_broken = dict(fixed), dict(broken)
    modes = sorted(
        {*counts_fixed, *counts_broken},
        key=lambda mode: -counts_fixed.get(mode, 0) - counts_broken.get(mode, 0),
    )
    chart = _butterfly(
        [
            (mode.replace("_", " "), counts_fixed.get(mode, 0), counts_broken.get(mode, 0))
            for mode in modes
        ]
    )
    rows = [
        {
            "failure_mode": mode,
            "fixed": counts_fixed.get(mode, 0),
            "broken": counts_broken.get(mode, 0),
        }
        for mode in modes
    ]
    return Chart(chart.figure, chart.description, rows)


def _butterfly(groups: Sequence[tuple[str, int, int]]) -> Chart:
    names = [safe(name) for name, _, _ in groups][::-1]
    traces = []
    for label, sign, colour, counts, hatch in (
        ("fixed (turned right)", 1, _FIXED, [fixed for _, fixed, _ in groups], ""),
        ("broken (turned wrong)", -1, _BROKEN, [broken for _, _, broken in groups], "/"),
    ):
        values = counts[::-1]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": label,
                "y": names,
                "x": [sign * value for value in values],
                "customdata": values,
                "text": [f"{value:,}" if value else "" for value in values],
                "textposition": "auto",
                "textangle": 0,
                "hovertemplate": "%{y}: %{customdata:,}",
                "marker": {
                    "color": colour,
                    "pattern": {
                        "shape": hatch,
                        "fillmode": "overlay",
                        "fgcolor": "rgba(255,255,255,0.6)",
                    },
                },
            }
        )
    most = max((max(fixed, broken) for _, fixed, broken in groups), default=1)
    figure = figure_of(
        traces,
        height=max(180, 90 + 36 * len(names)),
        barmode="relative",
        xaxis={"range": [-1.1 * most, 1.1 * most], "showticklabels": False, "zeroline": True},
        yaxis={"fixedrange": True},
    )
    fixed, broken = sum(each for _, each, _ in groups), sum(each for _, _, each in groups)
    return Chart(figure, f"{fixed:,} examples turned right, {broken:,} wrong.")
