"""Charts of the deep analysis: evaluations, calibration, overfitting, samples, learning, drift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.charts.base import (
    DASHES,
    HATCHES,
    PALETTE,
    SYMBOLS,
    Chart,
    drawn_of,
    figure_of,
    pick,
    safe,
)
from control_room.history.questions.data_files import FileEffect
from control_room.history.questions.drift import KINDS, DriftBin
from control_room.history.questions.evaluations import Evaluation
from control_room.history.questions.learning import ExampleLife, TimelineAnswer
from control_room.history.questions.samples import PassAtK
from control_room.statistics.calibration import ConfidenceBin
from control_room.statistics.overfitting import GapPoint

_GREY = "rgba(128,128,128,0.9)"
_BAND = "rgba(27,135,166,0.18)"
_RED = "#c0392b"
_STEP = {"title": {"text": "Step"}}
_PERCENT = {"tickformat": ".0%", "range": [0, 1.02]}


def eval_em(points: Sequence[Evaluation]) -> Chart:
    """EM of the fixed set over steps, with intervals where the number of examples is told."""
    told = [point for point in points if point.em is not None]
    ends = [point.em_interval or (point.em, point.em) for point in told]
    traces: list[dict[str, Any]] = []
    if any(point.em_interval for point in told):
        steps = [point.step for point in told]
        traces.append(_band(steps, [low for low, _ in ends], [high for _, high in ends]))
    traces.append(_line([p.step for p in told], [p.em for p in told], "%{y:.1%} at step %{x:,}"))
    rows = [
        {
            "step": p.step,
            "em": p.em,
            "em_low": low,
            "em_high": high,
            "count": p.count,
            "checkpoint_id": p.checkpoint_id,
        }
        for p, (low, high) in zip(told, ends, strict=True)
    ]
    said = "Exact match of the fixed set; the band is the 95 % interval."
    if told:
        said += f" Newest: {100 * (told[-1].em or 0):.1f} %."
    figure = figure_of(traces, height=260, xaxis=_STEP, yaxis=_PERCENT)
    return Chart(figure, said, rows, _thinned(points))


def eval_value(points: Sequence[Evaluation], name: str, label: str) -> Chart:
    """CE or ECE of the fixed set over steps."""
    told = [(p.step, value) for p in points if (value := getattr(p, name)) is not None]
    figure = figure_of(
        [_line([step for step, _ in told], [value for _, value in told], "%{y:.3f}")],
        height=260,
        xaxis=_STEP,
        yaxis={"title": {"text": label}, "rangemode": "tozero"},
    )
    said = f"{label} of the fixed set."
    if told:
        step, lowest = min(told, key=lambda point: point[1])
        said += f" Lowest: {lowest:.3f} at step {step:,}; newest: {told[-1][1]:.3f}."
    rows = [{"step": step, name: value} for step, value in told]
    return Chart(figure, said, rows, _thinned(points))


def domain_em(points: Sequence[Evaluation], steps: tuple[int, int]) -> Chart:
    """One domain's EM over the steps that all small charts show, its newest value as the title."""
    own = [p for p in points if p.em is not None]
    ends = [p.em_interval or (p.em, p.em) for p in own]
    at = [p.step for p in own]
    name, newest = (own[-1].domain or "", own[-1].em or 0.0) if own else ("", 0.0)
    figure = figure_of(
        [
            _band(at, [low for low, _ in ends], [high for _, high in ends]),
            _line(at, [p.em for p in own], "%{y:.0%} at step %{x:,}"),
        ],
        height=190,
        title={
            "text": f"{safe(name)} <b>{100 * newest:.0f} %</b>",
            "font": {"size": 13},
            "x": 0.02,
            "y": 0.98,
        },
        xaxis={"range": list(steps), "nticks": 4},
        yaxis={**_PERCENT, "nticks": 3},
    )
    rows = [{"domain": name, "step": p.step, "em": p.em, "count": p.count} for p in own]
    said = f"Exact match of {name}; newest: {100 * newest:.0f} %."
    return Chart(figure, said, rows, _thinned(points))


def _thinned(points: Sequence[Evaluation]) -> str:
    return drawn_of(len(points), points[0].all_of, "evaluations") if points else ""


def reliability(bins: Sequence[ConfidenceBin]) -> Chart:
    """How often answers of a confidence are right; on the diagonal they are as right as sure."""
    counts = [each.count for each in bins]
    most = max(counts, default=1)
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [0, 1],
            "y": [0, 1],
            "line": {"dash": "dash", "color": _GREY, "width": 1.5},
            "hoverinfo": "skip",
            "showlegend": False,
        },
        {
            "type": "bar",
            "x": [(each.low + each.high) / 2 for each in bins],
            "width": [max(each.high - each.low, 0.004) for each in bins],
            "y": [0.22 * count / most for count in counts],
            "marker": {"color": "rgba(128,128,128,0.25)"},
            "customdata": counts,
            "hovertemplate": "%{customdata:,} answers<extra></extra>",
            "name": "answers (bar height)",
        },
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": [each.mean_confidence for each in bins],
            "y": [each.em for each in bins],
            "customdata": [[each.low, each.high, each.count] for each in bins],
            "hovertemplate": (
                "confidence %{customdata[0]:.2f}-%{customdata[1]:.2f}, mean %{x:.3f}<br>"
                "right: %{y:.1%} of %{customdata[2]:,}<extra></extra>"
            ),
            "line": {"color": PALETTE[0], "width": 2},
            "marker": {"size": 8},
            "name": "right",
        },
    ]
    figure = figure_of(
        traces,
        height=360,
        xaxis={"title": {"text": "Confidence"}, "range": [0, 1.01]},
        yaxis={**_PERCENT, "title": {"text": "Exact match"}},
    )
    rows = [
        {
            "confidence_from": each.low,
            "confidence_to": each.high,
            "count": each.count,
            "correct": each.correct,
            "mean_confidence": each.mean_confidence,
            "em": each.em,
        }
        for each in bins
    ]
    worst = max(bins, key=lambda each: abs(each.gap), default=None)
    said = "Below the dashed line the model is surer than it is right."
    if worst is not None:
        side = "too sure" if worst.gap > 0 else "not sure enough"
        said += (
            f" Widest gap: {side} by {100 * abs(worst.gap):.0f} points at confidence "
            f"{worst.mean_confidence:.2f} ({worst.count:,} answers)."
        )
    return Chart(figure, said, rows)


def gap(points: Sequence[GapPoint], onset: int | None) -> Chart:
    """Validation and training loss at each evaluation; where overfitting begins is marked."""
    steps = [point.step for point in points]
    pairs = (("Validation", "val_loss"), ("Training", "loss"))
    traces = [
        {
            **_line(steps, [getattr(point, name) for point in points], "%{y:.3f}", place),
            "name": label,
            "showlegend": True,
        }
        for place, (label, name) in enumerate(pairs)
    ]
    shapes, annotations = [], []
    if onset is not None:
        shapes.append(_across(onset))
        annotations.append(
            {
                "x": onset,
                "y": 1,
                "yref": "paper",
                "text": f"overfitting from {onset:,}",
                "showarrow": False,
                "xanchor": "left",
                "yanchor": "top",
                "font": {"color": _RED},
            }
        )
    figure = figure_of(
        traces,
        height=420,
        shapes=shapes,
        annotations=annotations,
        xaxis=_STEP,
        yaxis={"title": {"text": "Loss, nats"}},
    )
    said = "Validation against training loss (mean of 50 steps)."
    if points:
        said += f" Newest gap: {points[-1].gap:.3f}."
    if onset is None:
        said += " No overfitting by the rule below."
    else:
        said += f" Overfitting from step {onset:,}: the lowest validation loss."
    rows = [{"step": p.step, "val_loss": p.val_loss, "loss": p.loss, "gap": p.gap} for p in points]
    return Chart(figure, said, rows)


def pass_at_k(points: Sequence[PassAtK]) -> Chart:
    """pass@k over k, with intervals over the examples."""
    ends = [point.interval or (point.value, point.value) for point in points]
    ks = [point.k for point in points]
    figure = figure_of(
        [
            _band(ks, [low for low, _ in ends], [high for _, high in ends]),
            {
                **_line(ks, [point.value for point in points], ""),
                "customdata": [point.examples for point in points],
                "hovertemplate": "pass@%{x}: %{y:.1%} of %{customdata:,} examples<extra></extra>",
            },
        ],
        xaxis={
            "title": {"text": "k, answers to each example"},
            "dtick": 1 if len(ks) < 12 else None,
        },
        yaxis={**_PERCENT, "title": {"text": "pass@k"}},
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
            {**_line(steps, values, "%{y:,}", place), "name": name, "showlegend": True}
            for place, (name, values) in enumerate(reversed(series))
        ],
        xaxis=_STEP,
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
        xaxis=_STEP,
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
        xaxis=_STEP,
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


def _line(
    x: Sequence[float], y: Sequence[float | None], hover: str, place: int = 0
) -> dict[str, Any]:
    few = len(x) <= 60
    return {
        "type": "scatter",
        "mode": "lines+markers" if few else "lines",
        "x": list(x),
        "y": list(y),
        "hovertemplate": f"{hover}<extra></extra>",
        "line": {"color": pick(PALETTE, place), "dash": pick(DASHES, place), "width": 2},
        "marker": {"symbol": pick(SYMBOLS, place), "size": 6},
        "showlegend": False,
    }


def _band(x: Sequence[float], low: Sequence[Any], high: Sequence[Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [*x, *reversed(x)],
        "y": [*high, *reversed(low)],
        "fill": "toself",
        "fillcolor": _BAND,
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _across(step: float) -> dict[str, Any]:
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": step,
        "x1": step,
        "y0": 0,
        "y1": 1,
        "line": {"dash": "dash", "width": 2, "color": _RED},
    }
