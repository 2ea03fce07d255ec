"""Charts of the Evals page: evaluations over the steps, calibration, overfitting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.charts.base import (
    GREY,
    PALETTE,
    PERCENT_AXIS,
    RED,
    STEP_AXIS,
    Chart,
    band,
    drawn_of,
    figure_of,
    line,
    safe,
    vertical_line,
)
from control_room.history.questions.evaluations import Evaluation
from control_room.statistics.calibration import ConfidenceBin
from control_room.statistics.overfitting import GapPoint


def eval_em(points: Sequence[Evaluation]) -> Chart:
    """EM of the fixed set over steps, with intervals where the number of examples is told."""
    told = [point for point in points if point.em is not None]
    ends = [point.em_interval or (point.em, point.em) for point in told]
    traces: list[dict[str, Any]] = []
    if any(point.em_interval for point in told):
        steps = [point.step for point in told]
        traces.append(band(steps, [low for low, _ in ends], [high for _, high in ends]))
    traces.append(line([p.step for p in told], [p.em for p in told], "%{y:.1%} at step %{x:,}"))
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
    figure = figure_of(traces, height=260, xaxis=STEP_AXIS, yaxis=PERCENT_AXIS)
    return Chart(figure, said, rows, _thinned(points))


def eval_value(points: Sequence[Evaluation], name: str, label: str) -> Chart:
    """CE or ECE of the fixed set over steps."""
    told = [(p.step, value) for p in points if (value := getattr(p, name)) is not None]
    figure = figure_of(
        [line([step for step, _ in told], [value for _, value in told], "%{y:.3f}")],
        height=260,
        xaxis=STEP_AXIS,
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
            band(at, [low for low, _ in ends], [high for _, high in ends]),
            line(at, [p.em for p in own], "%{y:.0%} at step %{x:,}"),
        ],
        height=190,
        title={
            "text": f"{safe(name)} <b>{100 * newest:.0f} %</b>",
            "font": {"size": 13},
            "x": 0.02,
            "y": 0.98,
        },
        xaxis={"range": list(steps), "nticks": 4},
        yaxis={**PERCENT_AXIS, "nticks": 3},
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
            "line": {"dash": "dash", "color": GREY, "width": 1.5},
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
        yaxis={**PERCENT_AXIS, "title": {"text": "Exact match"}},
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
            **line(steps, [getattr(point, name) for point in points], "%{y:.3f}", place),
            "name": label,
            "showlegend": True,
        }
        for place, (label, name) in enumerate(pairs)
    ]
    shapes, annotations = [], []
    if onset is not None:
        shapes.append(vertical_line(onset))
        annotations.append(
            {
                "x": onset,
                "y": 1,
                "yref": "paper",
                "text": f"overfitting from {onset:,}",
                "showarrow": False,
                "xanchor": "left",
                "yanchor": "top",
                "font": {"color": RED},
            }
        )
    figure = figure_of(
        traces,
        height=420,
        shapes=shapes,
        annotations=annotations,
        xaxis=STEP_AXIS,
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
