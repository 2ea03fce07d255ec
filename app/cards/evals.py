"""Evaluation: the fixed set over time, its domains, overfitting, and what is kept on disk."""

from __future__ import annotations

from markupsafe import Markup

from app.cards import kit
from app.cards.draw_html import draw_html
from app.text.html import NOTHING, fill, text
from app.views.models import EvalStatus, Level, StoredCheckpoint

TITLE = "Evaluation"

_TREND: dict[str | None, tuple[str, str]] = {
    "improving": ("↑", "improving"),
    "stable": ("→", "stable"),
    "declining": ("↓", "declining"),
}
_GAP: dict[str | None, Level] = {"good": "ok", "warning": "warning", "overfitting": "critical"}
_SHOWN = 3  # snapshots


def draw(view: EvalStatus) -> None:
    """Draw the card."""
    draw_html(html(view))


def html(view: EvalStatus) -> Markup:
    """The card as HTML."""
    nothing = view.fixed_eval_em is None and view.micro_eval_loss is None and not view.domain_evals
    if nothing and view.val_loss is None and not view.snapshots:
        return kit.empty(
            TITLE,
            "No evaluation has been logged.",
            'Call recorder.log_eval(step=…, kind="fixed", em=…, ce=…, ece=…, count=…) after '
            "each evaluation of a set that does not change.",
        ) + _problems(view)
    domains = {name: domain for name, domain in view.domain_evals.items() if domain.em is not None}
    return kit.card(
        TITLE,
        _fixed(view),
        kit.rows(_facts(view)),
        kit.sparkline(
            [em for _, em in view.fixed_eval_history],
            "Exact match of the fixed set",
            _ends(view),
        ),
        kit.heading("By domain") if domains else NOTHING,
        kit.bar_rows(
            (name, None if d.em is None else 100 * d.em, kit.percent(d.em))
            for name, d in domains.items()
        )
        if domains
        else NOTHING,
        _snapshots(view),
        aside="" if view.fixed_eval_step is None else f"step {view.fixed_eval_step:,}",
    ) + _problems(view)


def _fixed(view: EvalStatus) -> Markup:
    if view.fixed_eval_em is None:
        return NOTHING
    sign, word = _TREND.get(view.fixed_eval_trend, ("", ""))
    said = fill(' <small title="{0}" aria-label="{0}">{1}</small>', word, sign) if sign else ""
    return kit.figures(
        [
            ("Exact match", fill("{}{}", kit.percent(view.fixed_eval_em, 1), said)),
            ("CE", kit.number(view.fixed_eval_ce, 3)),
            ("Calibration error", kit.number(view.fixed_eval_ece, 3)),
        ]
    )


def _facts(view: EvalStatus) -> list[tuple[str, Markup]]:
    facts: list[tuple[str, Markup]] = []
    if view.fixed_eval_interval is not None:
        low, high = view.fixed_eval_interval
        many = f"{100 * low:.0f}-{100 * high:.0f}% of {view.fixed_eval_count:,} examples"
        facts.append(("95 % interval", text(many)))
    if view.micro_eval_loss is not None:
        step = fill('<span class="cr-unit"> step {:,}</span>', view.micro_eval_step or 0)
        facts.append(("Micro-eval loss", kit.number(view.micro_eval_loss, 3) + step))
    if view.val_loss is not None:
        facts.append(("Validation loss", kit.number(view.val_loss, 3)))
    if view.val_train_gap is not None:
        chip = kit.chip(view.gap_status or "unknown", _GAP.get(view.gap_status, "unknown"))
        facts.append(("Val/train gap", fill("{} {}", kit.number(view.val_train_gap, 3), chip)))
    return facts


def _ends(view: EvalStatus) -> tuple[str, str] | None:
    if len(view.fixed_eval_history) < 2:
        return None
    first, last = view.fixed_eval_history[0][0], view.fixed_eval_history[-1][0]
    return f"step {first:,}", f"step {last:,}"


def _snapshots(view: EvalStatus) -> Markup:
    kept = view.snapshots or view.checkpoints
    if not kept:
        return NOTHING
    title = "Snapshots" if view.snapshots else "Checkpoints"
    shown = list(kept[:_SHOWN])
    best = next((each for each in kept if each.best), None)
    if best is not None and best not in shown:
        shown[-1] = best
    return kit.heading(title) + kit.rows((_name(each), _outcome(each)) for each in shown)


def _name(kept: StoredCheckpoint) -> str:
    return kept.name if kept.date is None else f"{kept.date}"


def _outcome(kept: StoredCheckpoint) -> Markup:
    step = "" if kept.step is None else fill('<span class="cr-unit">step {:,} </span>', kept.step)
    em = kit.missing() if kept.em is None else fill("EM {}", kit.percent(kept.em))
    return fill("{}{}{}", step, em, fill(" {}", kit.chip("best", "ok")) if kept.best else "")


def _problems(view: EvalStatus) -> Markup:
    return kit.bare(kit.problems(view.problems)) if view.problems else NOTHING
