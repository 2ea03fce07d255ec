"""Live preview: the newest answer of the model, beside what it should have been."""

from __future__ import annotations

from html import escape

import streamlit as st

from app.cards import kit
from app.diff import word_diff
from app.views import LatestPreview, Level, Preview, PreviewStatus

TITLE = "Live preview"

_EMPTY_NEXT = (
    "Call recorder.log_preview(step=…, prompt=…, golden=…, model_answer=…) whenever the model "
    "answers an example."
)


def draw(view: PreviewStatus) -> None:
    """Draw the card: heading and outcome, prompt to expand, both answers, metrics."""
    latest = view.latest_preview
    if latest is None:
        st.html(kit.empty(TITLE, "No preview has been logged.", _EMPTY_NEXT) + _problems(view))
        return
    shown = _shown(latest)
    st.html(outcome_html(shown, view) + f'<div class="cr">{_cut(shown)}</div>')
    with st.expander("Prompt", key="preview-prompt"):
        st.html(f'<div class="cr">{kit.text_box(escape(shown.prompt))}</div>')
    st.html(answers_html(shown) + _problems(view))
    st.toggle("Hold this preview", key=_HOLD)


_HOLD = "preview-hold"
_SHOWN = "preview-shown"


def _shown(latest: Preview) -> Preview:
    """The newest preview, or the one that was on screen when "Hold" was switched on."""
    hold = st.session_state.get(_HOLD, False)
    shown: Preview = st.session_state.get(_SHOWN, latest) if hold else latest
    st.session_state[_SHOWN] = shown
    return shown


def outcome_html(preview: Preview, view: PreviewStatus) -> str:
    """Which example this is and how it went."""
    age = max(0.0, (view.timestamp - preview.ts).total_seconds())
    return kit.card(TITLE, *_about(preview), aside=kit.ago(age))


def detail_html(preview: Preview) -> str:
    """Everything of one preview: example, outcome, prompt, answers, metrics."""
    prompt = _cut(preview) + kit.heading("Prompt") + kit.text_box(escape(preview.prompt))
    logged = kit.note(f"Logged {preview.ts.astimezone():%Y-%m-%d %H:%M:%S %Z}")
    about = "".join(_about(preview))
    return f'<div class="cr">{about}{logged}{prompt}</div>{answers_html(preview)}'


def _about(preview: Preview) -> tuple[str, str]:
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
    return f"<p>{escape(where)}</p>", kit.chips([_outcome(preview), *_contracts(preview)])


def answers_html(preview: Preview) -> str:
    """Golden and model answer with their difference marked, and the metrics."""
    diff = word_diff(preview.golden, preview.model_answer)
    answer = diff.answer_html or '<span class="cr-na">(empty)</span>'
    parts = [
        '<div class="cr"><div class="cr-answers">',
        f"<div>{kit.heading('Golden answer')}{kit.text_box(diff.golden_html)}</div>",
        f"<div>{kit.heading('Model answer')}{kit.text_box(answer)}</div></div>",
        kit.note(_legend(preview, compared=diff.compared)),
        kit.figures(
            [
                ("CE", kit.number(preview.ce, 3)),
                ("Prompt tokens", kit.number(preview.prompt_tokens)),
                ("Answer tokens", kit.number(preview.model_tokens)),
                ("Generation time", kit.number(preview.generation_time_ms, 0, "ms")),
            ],
            small=True,
        ),
        "</div>",
    ]
    return "".join(parts)


def _outcome(preview: Preview) -> str:
    if preview.exact_match is None:
        return kit.chip("Not scored", "unknown")
    if preview.exact_match:
        return kit.chip("Exact match", "ok")
    reason = f": {preview.failure_mode.replace('_', ' ')}" if preview.failure_mode else ""
    level: Level = "warning" if preview.normalized_match else "critical"
    return kit.chip(f"No exact match{reason}", level)


def _contracts(preview: Preview) -> list[str]:
    checks = preview.contract_status or {}
    return [
        kit.chip(
            f"{name.replace('_', ' ')} {'kept' if kept else 'broken'}", "ok" if kept else "critical"
        )
        for name, kept in checks.items()
    ]


def _cut(preview: Preview) -> str:
    """Which texts are not shown whole, and where they are."""
    if not isinstance(preview, LatestPreview) or not preview.cut:
        return ""
    parts = [f"{name.replace('_', ' ')} ({size:,} in all)" for name, size in preview.cut.items()]
    where = f'<a href="{escape(preview.whole or "")}" target="_blank">here as JSON</a>'
    return (
        f'<p class="cr-note">Cut, with their lengths in characters: {escape(", ".join(parts))}. '
        f"They are whole on the Previews page, and {where}.</p>"
    )


def _legend(preview: Preview, *, compared: bool) -> str:
    if not compared:
        return "The answers are too long to mark their difference."
    cut = preview.cut if isinstance(preview, LatestPreview) else {}
    if cut.keys() & {"golden", "model_answer"}:
        return (
            "Only the beginnings are compared. Struck through: missing from what is shown of the "
            "answer. Underlined: not in what is shown of the golden one."
        )
    if preview.golden == preview.model_answer:
        return "The answers are the same."
    return "Struck through: missing from the answer. Underlined: should not be there."


def _problems(view: PreviewStatus) -> str:
    return f'<div class="cr">{kit.problems(view.problems)}</div>' if view.problems else ""
