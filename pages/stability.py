"""Stability: do several answers agree, when was each example learned, and what is forgotten?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st
from markupsafe import Markup

from app.cards import kit
from app.cards.draw_html import draw_html
from app.charts import stability as charts
from app.text.html import fill
from app.text.visible import cell
from app.ui.chart_box import chart_box
from app.ui.current import monitor
from app.ui.filter_bar import filter_bar
from app.ui.page_files import Page
from app.ui.waiting import history_or_wait
from control_room.history.filters import PreviewFilter
from control_room.history.queries import Cursor
from control_room.history.questions import learning
from control_room.history.questions.data_files import file_effects
from control_room.history.questions.drift import drift, verdict
from control_room.history.questions.learning import ExampleLife, LearningSummary, Ranking
from control_room.history.questions.notes import notes
from control_room.history.questions.samples import PASS_AT, example_samples, pass_at

PAGE = Page(title="Stability", icon=":material/ssid_chart:", order=60)

SHOWN = 200
TIMELINES = 15
PREVIEWS = Path(__file__).with_name("previews.py")
RANKINGS: dict[Ranking, str] = {
    "flips": "turn most often",
    "forgotten": "right once, wrong now",
    "sure": "sure, and wrong or unsettled",
}
NO_SAMPLES = (
    "Set [samples] in previews.toml (every = 5, samples = 8), or log previews with sample_index."
)


def main() -> None:
    """Draw the page."""
    bar = st.container(horizontal=True, horizontal_alignment="distribute")
    draw_html(kit.card("Stability"), place=bar, width="content")
    cursor = history_or_wait()
    if cursor is None:
        return
    with bar, st.popover("Filter", icon=":material/filter_alt:"):
        wanted = filter_bar(cursor, "stability", monitor().settings.heatmap.bin_edges)
    with st.container(border=True, key="card-learning"):
        lives(cursor, wanted)
    left, right = st.columns(2, gap="small")
    marks = notes(cursor)
    with left, st.container(border=True, key="card-learned"):
        chart = charts.learned(learning.learned_over_steps(cursor, wanted))
        chart_box(
            "stability-learned", "Learned over steps", chart, "No example is scored.", notes=marks
        )
    with right, st.container(border=True, key="card-drift"):
        drifting(cursor, wanted)
    left, right = st.columns(2, gap="small")
    with left, st.container(border=True, key="card-pass"):
        chart = charts.pass_at_k(pass_at(cursor, wanted, PASS_AT, least=2))
        chart_box("stability-pass", "pass@k", chart, NO_SAMPLES)
    with right, st.container(border=True, key="card-agreement"):
        agreement(cursor, wanted)
    with st.container(border=True, key="card-files"):
        chart = charts.file_effects(file_effects(cursor, wanted))
        chart_box(
            "stability-files",
            "What the data between checkpoints cost or gained",
            chart,
            "Previews of at least two checkpoints are needed (checkpoint_id), and for the names "
            "log_metrics(current_file=…).",
        )


def lives(cursor: Cursor, wanted: PreviewFilter) -> None:
    """How examples fare, and the ranking that is chosen; a row leads to its answers."""
    found = learning.learning_summary(cursor, wanted)
    if not found.examples:
        draw_html(kit.empty("Examples", "No scored preview matches.", "Clear a filter, or wait."))
        return
    draw_html(summary(found))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        ranking: Ranking = st.segmented_control(
            "Examples that",
            list(RANKINGS),
            default="flips",
            required=True,
            format_func=RANKINGS.__getitem__,
            key="stability-ranking",
            wrap=True,
        )
        right_at_step: int | None = st.number_input(
            "and were right at step",
            min_value=0,
            value=None,
            step=1,
            placeholder="any",
            key="stability-right-at",
            width=180,
        )
    ranked = learning.example_lives(
        cursor, wanted, ranking, limit=SHOWN, right_at_step=right_at_step
    )
    if not ranked:
        st.caption("There is none.")
        return
    chosen = st.dataframe(
        [_row(life) for life in ranked],
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"stability-lives-{ranking}",
        column_config={
            "Confidence": st.column_config.ProgressColumn(min_value=0, max_value=1, format="%.2f"),
            **{
                name: st.column_config.NumberColumn(format="localized")
                for name in ("First right", "Learned at", "Last right", "Last asked")
            },
        },
    )
    if len(ranked) == SHOWN:
        st.caption(f"The first {SHOWN} of this ranking; the filter leads to others.")
    st.caption(
        "Learned at: the step since which every answer was right. Forgotten: turns from right to "
        "wrong (Toneva et al. 2019). Choose a row to read its answers."
    )
    shown = ranked[:TIMELINES]
    chart_box(
        "stability-timelines",
        "Timelines" if len(shown) == len(ranked) else f"Timelines of the first {len(shown)}",
        charts.timelines(shown, learning.timelines(cursor, wanted, shown)),
        "No answer.",
        notes=notes(cursor),
    )
    if chosen.selection.rows:
        life = ranked[chosen.selection.rows[0]]
        if life.example_id is not None:
            query = {"example_id": life.example_id}
            query |= {} if life.dataset_id is None else {"dataset_id": life.dataset_id}
            st.switch_page(PREVIEWS, query_params=query)
        st.info("This example has no example_id to look for.")


def summary(found: LearningSummary) -> Markup:
    """The states as figures."""
    return kit.card(
        "Examples",
        kit.figures(
            [
                ("Right now", fill("{:,} <small>of {:,}</small>", found.learned, found.examples)),
                ("Right once, wrong now", kit.number(found.forgotten)),
                ("Never right", kit.number(found.never)),
                ("Turned twice or more", kit.number(found.unstable)),
            ]
        ),
    )


def _row(life: ExampleLife) -> dict[str, Any]:
    return {
        "Example": cell(life.example_id or life.prompt[:40]),
        "Pattern": cell(life.pattern or ""),
        "Now": "✓ right" if life.right_now else "✕ wrong",
        "Turns": life.flips,
        "Forgotten": life.forgotten,
        "First right": life.first_right_step,
        "Learned at": life.learned_step,
        "Last right": life.last_right_step,
        "Last asked": life.last_step,
        "Answers": life.answers,
        "Confidence": life.confidence,
        "Prompt": cell(life.prompt),
    }


def drifting(cursor: Cursor, wanted: PreviewFilter) -> None:
    """Whether the form or the content goes."""
    found = drift(cursor, wanted)
    chart = charts.drift(found)
    told = verdict(found)
    note = "" if told is None else f"{told.said} (Second half against the first, 95 %.)"
    chart_box(
        "stability-drift",
        "Form or content?",
        chart,
        "No preview is scored.",
        note=note,
        notes=notes(cursor),
    )


def agreement(cursor: Cursor, wanted: PreviewFilter) -> None:
    """Examples whose samples agree least."""
    found = example_samples(cursor, wanted, limit=SHOWN, newest=True)
    if not found:
        draw_html(kit.empty("Agreement", "No example was answered several times.", NO_SAMPLES))
        return
    draw_html(kit.card("Agreement of several answers, least first"))
    st.dataframe(
        [
            {
                "Example": cell(each.example_id),
                "Dataset": None if each.dataset_id is None else cell(each.dataset_id),
                "Step": each.step,
                "Agreement": each.agreement,
                "Entropy, nats": each.entropy_nats,
                "Different": each.distinct,
                "Right": f"{each.correct} of {each.count}",
            }
            for each in found
        ],
        hide_index=True,
        column_config={
            "Agreement": st.column_config.ProgressColumn(min_value=0, max_value=1, format="%.2f"),
            "Entropy, nats": st.column_config.NumberColumn(format="%.2f"),
            "Step": st.column_config.NumberColumn(format="localized"),
        },
    )
    if len(found) == SHOWN:
        st.caption(f"The {SHOWN} examples that agree least; the filter leads to others.")
    st.caption("As last asked. Agreement: the share of the most frequent answer.")


main()
