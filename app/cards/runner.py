"""The preview runner: which round it is at, how fast, what waits, and what went wrong."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from app.cards import kit
from app.cards.draw_html import draw_html
from app.text.html import fill, text
from app.text.markdown import plain
from app.views.models import RoundStatus, RunnerStatus
from control_room.previews.request import request_round
from control_room.rundir import RunDir

TITLE = "Preview runner"


def draw(runner: RunnerStatus, run: RunDir, *, may_request: bool) -> None:
    """Draw the card; ``may_request`` adds the button that asks for a round now."""
    draw_html(html(runner))
    if may_request and st.button(
        "Ask for a round now", key="runner-request", disabled=not runner.running
    ):
        try:
            request_round(run)
        except OSError as error:
            st.error(plain(f"{run.round_request_file} cannot be written: {error.strerror}"))
        else:
            st.toast("Asked: the runner takes it up within seconds.")


def html(runner: RunnerStatus) -> Markup:
    """The card as HTML."""
    current, last = runner.round, runner.last_round
    parts = [kit.chips([_state(runner)])]
    if current is not None and runner.running:
        pct = 100 * (current.answered or 0) / current.total if current.total else None
        parts += [
            kit.rows([(_name(current), _progress(current))]),
            kit.bar(pct, "Round"),
        ]
    if last is not None:
        parts.append(kit.rows([(f"Last: {_name(last)}", text(_ended(last)))]))
    waiting = sum(runner.pending.values())
    parts.append(
        kit.figures(
            [
                ("Rounds waiting", kit.number(waiting)),
                ("Skipped", kit.number(runner.skipped)),
                ("Failed", kit.number(runner.failed)),
                ("Last answer", kit.number(runner.last_latency_ms, 0, "ms")),
                ("Answers", kit.number(runner.answers_per_sec, 1, "/s")),
                ("Tokens", kit.number(runner.tokens_per_sec, 0, "/s")),
            ],
            small=True,
        )
    )
    if runner.last_error is not None:
        parts.append(kit.note(f"Last error: {runner.last_error}"))
    parts.append(kit.problems(runner.problems))
    return kit.card(TITLE, *parts)


def _state(runner: RunnerStatus) -> Markup:
    if runner.age_s is None:
        return kit.chip("not known to run", "warning")
    if not runner.running:
        return kit.chip(f"not running, seen {kit.ago(runner.age_s)}", "warning")
    return kit.chip("asking" if runner.round is not None else "waiting for a checkpoint", "ok")


def _name(each: RoundStatus) -> str:
    return f"{each.kind} of {each.checkpoint}"


def _progress(each: RoundStatus) -> Markup:
    errors = f", {each.errors:,} without an answer" if each.errors else ""
    return fill("{} of {}{}", kit.number(each.answered), kit.number(each.total), errors)


def _ended(each: RoundStatus) -> str:
    parts = [f"{each.outcome or 'ended'}{f' ({each.reason})' if each.reason else ''}"]
    if each.answered is not None:
        parts.append(f"{each.answered:,} answers")
        scored = each.answered - (each.errors or 0)
        if scored > 0 and each.correct is not None:
            parts.append(f"{100 * each.correct / scored:.0f} % right")
    return ", ".join(parts)
