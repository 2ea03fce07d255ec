"""Live preview: the newest answer of the model, beside what it should have been."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeAlias

import streamlit as st
from markupsafe import Markup

from app.cards import kit, preview_record
from app.cards.draw_html import draw_html
from app.text.diff import word_diff
from app.text.html import NOTHING, fill, join, text
from app.views.models import LatestPreview, Level, Preview, PreviewStatus
from control_room.history.queries import PreviewRow
from control_room.logs.recent import AHEAD_S

TITLE = "Live preview"

Shown: TypeAlias = Preview | PreviewRow

# Said in the place of links that would lead to another run's.
NOT_IN_API = "Start the app for this run to have them whole."
_EMPTY_NEXT = (
    "Call recorder.log_preview(step=…, prompt=…, golden=…, model_answer=…) whenever the model "
    "answers an example."
)


def draw(view: PreviewStatus, *, in_api: bool = True) -> None:
    """Draw the card: heading and outcome, prompt to expand, both answers, metrics.

    ``in_api``: whether the API has this run, so that links lead to its texts.
    """
    latest = view.latest_preview
    if latest is None:
        draw_html(kit.empty(TITLE, "No preview has been logged.", _EMPTY_NEXT) + _problems(view))
        return
    shown = _shown(latest)
    draw_html(outcome_html(shown, view) + kit.bare(_cut(shown, in_api)))
    with st.expander("Prompt", key="preview-prompt"):
        draw_html(kit.bare(kit.text_box(text(shown.prompt))))
    draw_html(answers_html(shown) + _problems(view))
    st.toggle("Hold this preview", key=_HOLD)


_HOLD = "preview-hold"
_SHOWN = "preview-shown"


def _shown(latest: Preview) -> Preview:
    """The newest preview, or the one that was on screen when "Hold" was switched on."""
    hold = st.session_state.get(_HOLD, False)
    shown: Preview = st.session_state.get(_SHOWN, latest) if hold else latest
    st.session_state[_SHOWN] = shown
    return shown


def outcome_html(preview: Preview, view: PreviewStatus) -> Markup:
    """Which example this is and how it went."""
    ahead_s = preview.ahead_s if isinstance(preview, LatestPreview) else None
    if ahead_s is not None:
        told = f"Stamped {kit.duration(ahead_s)} in the future: the clock of its machine is wrong."
        return kit.card(TITLE, *_about(preview), kit.problems([told]))
    age = max(0.0, (view.timestamp - preview.ts).total_seconds())
    return kit.card(TITLE, *_about(preview), aside=kit.ago(age))


def detail_html(preview: Shown, *, in_api: bool = True) -> Markup:
    """Everything of one preview: example, outcome, prompt, answers, metrics, all its fields."""
    prompt = _cut(preview, in_api) + kit.heading("Prompt") + kit.text_box(text(preview.prompt))
    said = f"Logged {preview.ts.astimezone():%Y-%m-%d %H:%M:%S %Z}"
    if is_ahead(preview):
        said += ", which is in the future: the clock of its machine is wrong"
    logged = kit.note(said)
    about = kit.bare(*_about(preview), logged, prompt)
    return about + answers_html(preview) + preview_record.html(preview)


def is_ahead(preview: Shown) -> bool:
    """Whether it is stamped in the future."""
    return (preview.ts - datetime.now(UTC)).total_seconds() > AHEAD_S


def _about(preview: Shown) -> tuple[Markup, Markup]:
    where = " · ".join(
        part
        for part in (
            f"Step {preview.step:,}",
            preview.checkpoint_id,
            preview.example_id,
            preview.source_pool,
            preview.regime,
        )
        if part
    )
    return fill("<p>{}</p>", where), kit.chips([_outcome(preview), *_contracts(preview)])


def answers_html(preview: Shown) -> Markup:
    """Golden and model answer with their difference marked, or why there is none; the metrics."""
    golden, answer, legend = _answers(preview)
    return kit.bare(
        fill(
            '<div class="cr-answers"><div>{}{}</div><div>{}{}</div></div>',
            kit.heading("Golden answer"),
            kit.text_box(golden),
            kit.heading("Model answer"),
            answer,
        ),
        legend,
        kit.figures(
            [
                ("CE", kit.number(preview.ce, 3)),
                ("Prompt tokens", kit.number(preview.prompt_tokens)),
                ("Answer tokens", kit.number(preview.model_tokens)),
                ("Generation time", kit.number(preview.generation_time_ms, 0, "ms")),
            ],
            small=True,
        ),
    )


def why_no_answer(preview: Shown) -> str | None:
    """Why there is nothing to compare with the golden answer, in words; None where there is."""
    ended = f"finish_reason: {preview.finish_reason}" if preview.finish_reason else ""
    if preview.error:
        return f"No answer: {preview.error}" + (f" ({ended})" if ended else "")
    if preview.finish_reason == _ERROR:
        return f"No answer: the server ended it with {ended}"
    if preview.model_answer or not preview.golden:
        return None
    return f"The answer is empty ({ended or 'the log tells no finish_reason and no error'})"


_EMPTY = fill('<span class="cr-na">(empty)</span>')
_ERROR = "error"  # a finish_reason of servers that put the error where the answer would be


def failure(preview: Shown) -> str:
    """What went wrong, in the few words that a table has room for; empty where nothing did."""
    mode = (preview.failure_mode or "").replace("_", " ")
    if why_no_answer(preview) is None:
        return mode
    reason = preview.error or preview.finish_reason
    said = "no answer" if preview.error or preview.finish_reason == _ERROR else "empty"
    return " · ".join(filter(None, (mode, f"{said}: {reason}" if reason else said)))


def _answers(preview: Shown) -> tuple[Markup, Markup, Markup]:
    """The golden answer, the model's and the legend of their marks, as HTML."""
    why = why_no_answer(preview)
    if why is None:
        diff = word_diff(preview.golden, preview.model_answer)
        legend = kit.note(_legend(preview, compared=diff.compared))
        return diff.golden_html or _EMPTY, kit.text_box(diff.answer_html or _EMPTY), legend
    told = kit.text_box(text(preview.model_answer)) if preview.model_answer else NOTHING
    return text(preview.golden) or _EMPTY, kit.problems([why]) + told, NOTHING


def _outcome(preview: Shown) -> Markup:
    if preview.exact_match is None:
        return kit.chip("Not scored" if why_no_answer(preview) is None else "No answer")
    if preview.exact_match:
        return kit.chip("Exact match", "ok")
    reason = f": {preview.failure_mode.replace('_', ' ')}" if preview.failure_mode else ""
    level: Level = "warning" if preview.normalized_match else "critical"
    return kit.chip(f"No exact match{reason}", level)


def _contracts(preview: Shown) -> list[Markup]:
    checks = preview.contract_status or {}
    return [
        kit.chip(
            f"{name.replace('_', ' ')} {'kept' if kept else 'broken'}", "ok" if kept else "critical"
        )
        for name, kept in checks.items()
    ]


def _cut(preview: Shown, in_api: bool) -> Markup:
    """Which texts are not shown whole, and where they are."""
    if not isinstance(preview, PreviewRow | LatestPreview) or not preview.cut:
        return NOTHING
    if not in_api:
        lengths = ", ".join(f"{name} ({size:,} in all)" for name, size in preview.cut.items())
        return kit.note(
            f"Cut, with their lengths in characters: {lengths.replace('_', ' ')}. {NOT_IN_API}"
        )
    if isinstance(preview, PreviewRow):
        return _cut_of_row(preview)
    parts = [f"{name.replace('_', ' ')} ({size:,} in all)" for name, size in preview.cut.items()]
    return fill(
        '<p class="cr-note">Cut, with their lengths in characters: {}. Up to 20,000 characters of '
        "each are on the Previews page, with a link to the rest, and {}.</p>",
        ", ".join(parts),
        kit.link("here as JSON", preview.whole or ""),
    )


def _cut_of_row(row: PreviewRow) -> Markup:
    """A link to the whole of each text that is cut, in a view that is nothing but text."""
    links = [
        fill(
            "{} ({:,} in all), {}",
            name.replace("_", " "),
            length,
            kit.link("show all", f"/api/preview/{row.id}/{name}?visible=1"),
        )
        for name, length in row.cut.items()
        if isinstance(getattr(row, name), str)
    ]
    if not links:
        return NOTHING
    return fill(
        '<p class="cr-note">Cut, with their lengths in characters: {}.</p>', join(links, "; ")
    )


def _legend(preview: Shown, *, compared: bool) -> str:
    if not compared:
        return "The answers are too long, or repeat themselves too often, to mark their difference."
    cut = preview.cut if isinstance(preview, LatestPreview | PreviewRow) else {}
    if cut.keys() & {"golden", "model_answer"}:
        return (
            "Only the beginnings are compared. Struck through: missing from what is shown of the "
            "answer. Underlined: not in what is shown of the golden one."
        )
    if preview.golden == preview.model_answer:
        return "The answers are the same."
    return "Struck through: missing from the answer. Underlined: should not be there."


def _problems(view: PreviewStatus) -> Markup:
    return kit.bare(kit.problems(view.problems)) if view.problems else NOTHING
