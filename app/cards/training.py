"""Training progress: step, loss and how it moves, throughput."""

from __future__ import annotations

from markupsafe import Markup

from app.cards import kit
from app.cards.draw_html import draw_html
from app.text.html import NOTHING, fill
from app.views.models import LiveStatus
from control_room.recording.metrics import METRICS, Metric

TITLE = "Training progress"

# A value older than this is shown with its age, so that it is not taken as live.
OLD_S = 30.0

_GAP_SIGN = {"good": " ✓", "warning": " ▲ wide", "overfitting": " ✕ overfitting"}
_TREND_ARROW = {"improving": "↓ improving", "stable": "→ stable", "rising": "↑ rising"}


def draw(view: LiveStatus) -> None:
    """Draw the card."""
    draw_html(html(view))


def html(view: LiveStatus) -> Markup:
    """The card as HTML."""
    if view.current_step is None and view.loss is None:
        return kit.empty(
            TITLE,
            "No training step has been recorded.",
            "Call recorder.log_metrics(step=…, loss=…) and recorder.update_status(…) each step.",
        )
    step = kit.number(view.current_step)
    if view.total_steps:
        step += fill("<small> / {:,}</small>", view.total_steps)
    return kit.card(
        TITLE,
        kit.figures(
            [
                ("Step", step),
                ("Loss", kit.number(view.loss, 4) + _trend(view)),
                ("Tokens/s", kit.number(view.tokens_per_sec)),
            ]
        ),
        kit.rows(
            [(metric.label, _value(view, metric)) for metric in METRICS if metric.on_card],
            two_columns=True,
        ),
        _sparkline(view),
        _segments(view),
        aside=_aside(view),
    )


def _trend(view: LiveStatus) -> Markup:
    arrow = _TREND_ARROW.get(view.loss_trend or "")
    return fill(" <small>{}</small>", arrow) if arrow else NOTHING


def _value(view: LiveStatus, metric: Metric) -> Markup:
    value: float | None = getattr(view, metric.name)
    shown = kit.scientific(value) if metric.digits is None else kit.number(value, metric.digits)
    sign = _GAP_SIGN.get(view.gap_status or "", "") if metric.name == "val_train_gap" else ""
    return fill("{}{}", shown, sign)


def _aside(view: LiveStatus) -> str:
    age = view.value_ages_s.get("loss")
    if age is not None and age > OLD_S and view.status == "training":
        return f"loss from {kit.ago(age)}"
    return ""


def _sparkline(view: LiveStatus) -> Markup:
    steps = [step for step, _ in view.loss_history]
    losses = [loss for _, loss in view.loss_history]
    if len(steps) < 2:
        return NOTHING
    return kit.sparkline(losses, "Loss", (f"loss from step {steps[0]:,}", f"{steps[-1]:,}"))


def _segments(view: LiveStatus) -> Markup:
    if view.segment_count < 2 or view.segment_start_step is None:
        return NOTHING
    return kit.note(f"Resumed at step {view.segment_start_step:,} (segment {view.segment_count}).")
