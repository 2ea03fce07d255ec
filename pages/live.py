"""The live page: is the run healthy, and what has the model learned?

Each zone is a fragment that refreshes at its own pace; a zone reads the newest views and draws.
"""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from app.cards import (
    evals,
    hardware,
    notes,
    preview,
    preview_stats,
    queue,
    runner,
    summary,
    training,
)
from app.ui.current import is_in_api, monitor
from app.ui.page_files import Page

PAGE = Page(title="Live", icon=":material/monitor_heart:", order=10)

intervals = monitor().settings.intervals


@st.fragment(run_every=intervals.live_zone_s)
def summary_zone() -> None:
    view = monitor().views.live
    with st.container(border=True, key="card-summary"):
        summary.draw(view, now=datetime.now(UTC))


@st.fragment(run_every=intervals.live_zone_s)
def training_zone() -> None:
    views = monitor().views
    with st.container(border=True, key="card-training"):
        training.draw(views.live)
    with st.container(border=True, key="card-queue"):
        queue.draw(views.live, views.system)


@st.fragment(run_every=intervals.hardware_zone_s)
def hardware_zone() -> None:
    with st.container(border=True, key="card-hardware"):
        hardware.draw(monitor().views.system.machines)


@st.fragment(run_every=intervals.preview_zone_s)
def preview_zone() -> None:
    view = monitor().views.preview
    with st.container(border=True, key="card-preview"):
        preview.draw(view, in_api=is_in_api())
    with st.container(border=True, key="card-preview-stats"):
        preview_stats.draw(view)
    if view.runner is not None:
        with st.container(border=True, key="card-runner"):
            runner.draw(
                view.runner,
                monitor().settings.run,
                may_request=monitor().settings.previews.allow_requests,
            )


@st.fragment(run_every=intervals.eval_zone_s)
def eval_zone() -> None:
    with st.container(border=True, key="card-evals"):
        evals.draw(monitor().views.evals)


@st.fragment(run_every=intervals.eval_zone_s)
def notes_zone() -> None:
    notes.draw(monitor().views.live.notes, datetime.now(UTC))


@st.fragment
def note_form() -> None:
    """By itself: what is being typed must not be drawn again."""
    notes.draw_form(monitor().settings.run, monitor().views.live.current_step)


summary_zone()
left, right = st.columns(2, gap="small")
with left:
    training_zone()
    hardware_zone()
    eval_zone()
with right:
    preview_zone()
    with st.container(border=True, key="card-notes"):
        notes_zone()
        if monitor().settings.notes.allow_writing:
            note_form()
