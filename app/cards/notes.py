"""Notes on the run: the newest, and a line to add one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import streamlit as st
from markupsafe import Markup

from app.cards import kit
from app.cards.draw_html import draw_html
from app.text.markdown import plain
from app.views.models import NoteStatus
from control_room.recording.notes import add_note
from control_room.rundir import RunDir

TITLE = "Notes"
MAX_CHARACTERS = 500


def draw(notes: Sequence[NoteStatus], now: datetime) -> None:
    """Draw the newest notes."""
    draw_html(html(notes, now))


def html(notes: Sequence[NoteStatus], now: datetime) -> Markup:
    """The notes as HTML."""
    if not notes:
        return kit.empty(
            TITLE, "There are none.", 'recorder.note("lowered lr"), or the line below, adds one.'
        )
    return kit.card(TITLE, kit.rows((_when(note, now), kit.text(note.text)) for note in notes))


def _when(note: NoteStatus, now: datetime) -> str:
    ago = kit.ago((now - note.ts).total_seconds())
    return ago if note.step is None else f"step {note.step:,} · {ago}"


def draw_form(run: RunDir, step: int | None) -> None:
    """A line that adds a note at this step."""
    with (
        st.form("add-note", clear_on_submit=True, border=False),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        text: str = st.text_input(
            "Add a note",
            placeholder="What changed? It is marked on every chart.",
            max_chars=MAX_CHARACTERS,
            key="note-text",
        )
        sent = st.form_submit_button("Add", key="note-add")
    if not sent or not text.strip():
        return
    try:
        add_note(run, text, step=step)
    except OSError as error:
        st.error(plain(f"{run.logs('note')} cannot be written: {error.strerror or error}"))
    else:
        st.toast("Noted.")
