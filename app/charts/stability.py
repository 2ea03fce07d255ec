"""Charts of the Stability page: samples, learning, drift, what data files cost or gained."""

from __future__ import annotations

from collections.abc import Sequence

from app.charts.base import (
    HATCHES,
    PERCENT_AXIS,
    STEP_AXIS,
    Chart,
    band,
    figure_of,
    line,
    pick,
    safe,
)
from control_room.history.questions.data_files import FileEffect
from control_room.history.questions.drift import KINDS, DriftBin
from control_room.history.questions.learning import ExampleLife, TimelineAnswer
from control_room.history.questions.samples import PassAtK


def pass_at_k(points: Sequence[PassAtK]) -> Chart:
    """pass@k over k, with intervals over the examples."""
    ends = [point.interval or (point.value, point.value) for point in points]
    ks = [point.k for point in points]
    figure = figure_of(
        [
            band(ks, [low for low, _ in ends], [high for _, high in ends]),
            {
                **line(ks, [point.value for point in points], ""),
                "customdata": [point.examples for point in points],
                "hovertemplate": "pass@%{x}: %{y:.1%} of %{customdata:,} examples<extra></extra>",
            },
        ],
        xaxis={
            "title": {"text": "k, answers to each example"},
            "dtick": 1 if len(ks) < 12 else None,
        },
        yaxis={**PERCENT_AXIS, "title": {"text": "pass@k"}},
    )
    rows = [
        {"k": p.k, "pass_at_k": p.value, "low": low, "high": high, "examples": p.examples}
        for p, (low, high) in zip(points, ends, strict=True)
    ]
    said = "The chance that one of k answers is right; the band is the 95 % interval."
    if points:
        first, last = points[0], points[-1]
        said += (
            f" pass@{first.k} {100 * first.value:.0f} %, pass@{last.k} {100 * last.value:.0f} %."
        )
    return Chart(figure, said, rows)


def learned(points: Sequence[tuple[int, int, int]]) -> Chart:
    """Examples that are right by their newest answer, and all that were asked, over steps."""
    steps = [step for step, _, _ in points]
    series = (("asked", [asked for _, _, asked in points]), ("right", [c for _, c, _ in points]))
    figure = figure_of(
        [
            {**line(steps, values, "%{y:,}", place), "name": name, "showlegend": True}
            for place, (name, values) in enumerate(reversed(series))
        ],
        xaxis=STEP_AXIS,
        yaxis={"title": {"text": "Examples"}, "rangemode": "tozero"},
    )
    said = "Examples whose newest answer is right, of all asked so far."
    if points:
        _, correct, asked = points[-1]
        said += f" Now {correct:,} of {asked:,}."
    rows = [{"step": step, "right": correct, "asked": asked} for step, correct, asked in points]
    return Chart(figure, said, rows)


def timelines(lives: Sequence[ExampleLife], answers: Sequence[TimelineAnswer]) -> Chart:
    """A line for each example, a mark for each answer: filled when right, a cross when wrong."""
    names = {life.newest_seq: _example_name(life) for life in lives}
    order = list(dict.fromkeys(names.values()))[::-1]
    traces = []
    for label, right, colour, symbol in (
        ("right", True, "#3f9a4f", "circle"),
        ("wrong", False, "#c93f7d", "x-thin-open"),
    ):
        own = [answer for answer in answers if answer.right is right]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": label,
                "x": [answer.step for answer in own],
                "y": [names[answer.newest_seq] for answer in own],
                "marker": {"symbol": symbol, "color": colour, "size": 8, "line": {"width": 2}},
                "hovertemplate": f"%{{y}}<br>{label} at step %{{x:,}}<extra></extra>",
            }
        )
    figure = figure_of(
        traces,
        height=90 + 22 * len(order),
        xaxis=STEP_AXIS,
        yaxis={
            "type": "category",
            "categoryorder": "array",
            "categoryarray": order,
            "fixedrange": True,
        },
    )
    rows = [
        {"example": names[answer.newest_seq], "step": answer.step, "right": answer.right}
        for answer in answers
    ]
    return Chart(figure, f"Answers to {len(order)} examples of the ranking, over steps.", rows)


def _example_name(life: ExampleLife) -> str:
    return safe(life.example_id or life.prompt[:24])


_KIND_NAMES = {
    "right": "right",
    "form": "content right, form broken",
    "content": "content wrong",
    "degenerate": "empty, cut off or looping",
}


_KIND_COLOURS = ("#3f9a4f", "#9a8700", "#c93f7d", "#6b7c85")


def drift(bins: Sequence[DriftBin]) -> Chart:
    """How the answers divide, stretch by stretch."""
    traces = [
        {
            "type": "bar",
            "name": _KIND_NAMES[kind],
            "x": [(each.first_step + each.last_step) / 2 for each in bins],
            "width": [max(1, each.last_step - each.first_step) for each in bins],
            "y": [each.counts[kind] / each.total for each in bins],
            "customdata": [
                [each.first_step, each.last_step, each.counts[kind], each.total] for each in bins
            ],
            "hovertemplate": (
                "steps %{customdata[0]:,}-%{customdata[1]:,}<br>%{customdata[2]:,} of "
                "%{customdata[3]:,} (%{y:.0%})"
            ),
            "marker": {
                "color": _KIND_COLOURS[place],
                "pattern": {
                    "shape": pick(HATCHES, place),
                    "fillmode": "overlay",
                    "fgcolor": "rgba(255,255,255,0.6)",
                    "solidity": 0.2,
                },
            },
        }
        for place, kind in enumerate(KINDS)
    ]
    figure = figure_of(
        traces,
        barmode="stack",
        bargap=0,
        xaxis=STEP_AXIS,
        yaxis={"tickformat": ".0%", "range": [0, 1], "title": {"text": "Share of answers"}},
    )
    rows = [
        {"first_step": each.first_step, "last_step": each.last_step, **each.counts} for each in bins
    ]
    return Chart(figure, "Answers by what is wrong with them, over steps.", rows)


def file_effects(effects: Sequence[FileEffect]) -> Chart:
    """Stretch between checkpoints by pattern: how many more turned right than wrong."""
    stretches = sorted({(each.first_step, each.last_step) for each in effects})
    patterns = sorted({each.pattern for each in effects})
    found = {(each.first_step, each.pattern): each for each in effects}
    files = {each.first_step: each.files for each in effects}
    values: list[list[float | None]] = []
    texts: list[list[str]] = []
    hovers: list[list[str]] = []
    for pattern in reversed(patterns):
        own = [found.get((first, pattern)) for first, _ in stretches]
        values.append([None if e is None else (e.fixed - e.broken) / e.common for e in own])
        texts.append(["" if e is None else _turned(e) for e in own])
        hovers.append(
            [
                ""
                if e is None
                else f"{safe(pattern)}: {e.fixed} fixed, {e.broken} broken of "
                f"{e.common}<br>{_files_said(files[e.first_step])}"
                for e in own
            ]
        )
    figure = figure_of(
        [
            {
                "type": "heatmap",
                "z": values,
                "x": [f"{first:,}-{last:,}" for first, last in stretches],
                "y": [safe(pattern) for pattern in reversed(patterns)],
                "text": texts,
                "texttemplate": "%{text}",
                "hovertext": hovers,
                "hoverinfo": "text",
                "zmid": 0,
                "zmin": -1,
                "zmax": 1,
                "colorscale": [[0, "#d9722e"], [0.5, "rgba(128,128,128,0.15)"], [1, "#1b87a6"]],
                "showscale": False,
                "xgap": 2,
                "ygap": 2,
            }
        ],
        height=max(180, 90 + 44 * len(patterns)),
        xaxis={"title": {"text": "Steps between checkpoints"}, "type": "category"},
    )
    rows = [
        {
            "first_step": e.first_step,
            "last_step": e.last_step,
            "files": "; ".join(f"{name} ({steps} steps)" for name, steps in e.files),
            "pattern": e.pattern,
            "common": e.common,
            "fixed": e.fixed,
            "broken": e.broken,
        }
        for e in effects
    ]
    fixed, broken = sum(e.fixed for e in effects), sum(e.broken for e in effects)
    return Chart(
        figure,
        f"Examples that turned right (+) or wrong (−) between checkpoints: {fixed:,} and "
        f"{broken:,} in all. Rest on a cell for the files trained on meanwhile.",
        rows,
    )


def _turned(effect: FileEffect) -> str:
    """Gained and lost, as a cell has room for it."""
    if not effect.fixed and not effect.broken:
        return "0"
    parts = (
        f"+{effect.fixed}" if effect.fixed else "",
        f"−{effect.broken}" if effect.broken else "",
    )
    return " ".join(part for part in parts if part)


def _files_said(files: Sequence[tuple[str, int]]) -> str:
    if not files:
        return "no file is told"
    shown = "<br>".join(f"{safe(name)}: {steps} steps" for name, steps in files[:6])
    return shown + (f"<br>and {len(files) - 6} more" if len(files) > 6 else "")
