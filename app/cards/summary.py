"""The run summary bar: is it running, how far is it, and what needs a look."""

from __future__ import annotations

from datetime import datetime

from markupsafe import Markup

from app.cards import kit
from app.cards.draw_html import draw_html
from app.text.html import NOTHING, fill
from app.views.models import AlertStatus, Level, LiveStatus

_STATUS_LEVEL: dict[str, Level] = {
    "training": "ok",
    "completed": "ok",
    "paused": "warning",
    "idle": "unknown",
    "crashed": "critical",
}


# Views older than this mean that the app itself no longer builds them.
OLD_VIEW_S = 15.0


def draw(view: LiveStatus, *, now: datetime) -> None:
    """Draw the bar, and say so when the view is not of ``now``."""
    age_s = (now - view.timestamp).total_seconds()
    old = [_OLD_VIEW.format(kit.ago(age_s))] if age_s > OLD_VIEW_S else []
    draw_html(html(view) + (kit.bare(kit.problems(old, "critical")) if old else NOTHING))


_OLD_VIEW = "The app stopped updating: this is from {}. Its log says why; restart it."


def html(view: LiveStatus) -> Markup:
    """The bar as HTML."""
    if view.status is None and view.current_step is None:
        return _waiting(view)
    return kit.bare(
        fill(
            '<div class="cr-summary">{}<span class="cr-model">{}</span>'
            '<span class="cr-muted">{}</span>{}</div>',
            _badge(view),
            _model(view),
            view.run_id,
            kit.chips(kit.chip(light.text, light.level) for light in view.health_lights),
        ),
        _progress(view),
        _reason(view),
        *(kit.problems([_alert(alert)], alert.level) for alert in view.alerts),
        kit.problems(view.problems),
    )


def _badge(view: LiveStatus) -> Markup:
    stalled = view.liveness.state == "stalled" and view.status == "training"
    status = "stalled" if stalled else (view.status or "unknown")
    level: Level = "critical" if stalled else _STATUS_LEVEL.get(status, "unknown")
    text = status.capitalize()
    if view.status == "training" and not stalled and view.phase not in (None, "training"):
        text = f"{text} · {view.phase}"
    return fill(
        '<span class="cr-chip cr-status {}" role="status">'
        '<span aria-hidden="true">{}</span>{}</span>',
        level,
        kit.SYMBOLS[level],
        text,
    )


def _model(view: LiveStatus) -> str:
    names = [name for name in (view.current_model_name, view.current_checkpoint_id) if name]
    return " · ".join(names) or "model not named"


def _progress(view: LiveStatus) -> Markup:
    if view.current_step is None:
        return NOTHING
    done = f"Step {view.current_step:,}"
    if view.total_steps:
        done += f" / {view.total_steps:,}"
    share = "" if view.progress_pct is None else f" · {view.progress_pct:.0f}%"
    meter = kit.bar(view.progress_pct, "Progress")
    return fill('<div class="cr-progress">{}<span>{}{}</span></div>', meter, done, share)


def _reason(view: LiveStatus) -> Markup:
    if view.status == "crashed":
        what = ": ".join(filter(None, (view.error_type, view.error_message)))
        return kit.problems(
            [f"Crashed. {what}" if what else "Crashed; no error was recorded."], "critical"
        )
    if view.liveness.state == "stalled" and view.liveness.reason:
        return kit.problems([f"Stalled: {view.liveness.reason}"], "critical")
    if view.status == "paused" and view.pause_reason:
        return kit.note(f"Paused: {view.pause_reason}")
    return NOTHING


def _alert(alert: AlertStatus) -> str:
    severity = f" ({alert.severity})" if alert.severity else ""
    return f"The trainer warns{severity}: {alert.message}"


def _waiting(view: LiveStatus) -> Markup:
    return kit.bare(
        fill(
            '<div class="cr-summary">{}<span class="cr-model">{}</span></div>',
            kit.chip("Waiting for a trainer", "unknown"),
            view.run_id,
        ),
        fill(
            '<p class="cr-note">No trainer has told its state in {} yet; what else is there is '
            "shown below. Add a Recorder to your training script, or point the app at another run "
            "with make run RUN_DIR=…</p>",
            view.run_dir,
        ),
        kit.problems(view.problems, "unknown"),
    )
