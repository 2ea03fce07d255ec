"""Heads: what each attention head does, and which are dead or collapsing."""

from __future__ import annotations

import streamlit as st

from app.cards import kit
from app.cards.draw_html import draw_html
from app.charts import heads as charts
from app.text.html import text
from app.ui.chart_box import chart_box
from app.ui.page_files import Page
from app.ui.waiting import history_or_wait
from control_room.history.queries import Cursor
from control_room.history.questions.heads import (
    HEAD_METRICS,
    HeadDiagnostics,
    head_diagnostics,
    head_steps,
)
from control_room.statistics.head_rules import RULES, head_findings

PAGE = Page(title="Heads", icon=":material/grid_on:", order=70)

NEXT_STEP = (
    "Call recorder.log_heads(step=…, attention_entropy=…, grad_norm=…) with arrays of layers x "
    "heads; control_room.integrations.heads collects them from a Hugging Face model."
)


def main() -> None:
    """Draw the page."""
    draw_html(kit.card("Attention heads"))
    cursor = history_or_wait()
    if cursor is None:
        return
    steps = head_steps(cursor)
    if not steps:
        draw_html(kit.empty("Attention heads", "No head has been recorded.", NEXT_STEP))
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        step = choose_step(steps)
        name: str = st.segmented_control(
            "Shown",
            HEAD_METRICS,
            default=HEAD_METRICS[0],
            required=True,
            format_func=charts.LABELS.__getitem__,
            wrap=True,
            key="heads-metric",
        )
    found, first = head_diagnostics(cursor, step), head_diagnostics(cursor, steps[0])
    if found is None or first is None:
        st.warning(f"What was recorded at step {step:,} does not have the shape it says.")
        return
    draw(cursor, found, first, name)


def choose_step(steps: list[int]) -> int:
    """The newest step, until another is chosen."""
    if len(steps) == 1:
        st.caption(f"Step {steps[0]:,} is the only one recorded.")
        return steps[0]
    chosen: int = st.select_slider(
        "Step", steps, value=steps[-1], format_func="{:,}".format, key="heads-step"
    )
    return chosen


def draw(cursor: Cursor, found: HeadDiagnostics, first: HeadDiagnostics, name: str) -> None:
    """The heatmap, and what the rules point out."""
    same_shape = (first.layers, first.heads) == (found.layers, found.heads)
    findings = head_findings(found.values, first.values if same_shape else {}, found.heads)
    marked = sorted({(each.layer, each.head) for each in findings})
    with st.container(border=True, key="card-heads"):
        chart_box(
            "heads",
            f"{charts.LABELS[name]}, step {found.step:,}",
            charts.heads(found, name, marked),
            f"{charts.LABELS[name]} was not recorded at this step.",
        )
    with st.container(border=True, key="card-findings"):
        rows = [
            (text(f"layer {each.layer}, head {each.head}"), text(each.rule), text(each.said))
            for each in findings
        ]
        parts = (
            [kit.table(("Head", "Rule", "Measured"), rows)]
            if rows
            else [kit.note("No head is pointed out at this step.")]
        )
        rules = "; ".join(f"{rule}: {meaning}" for rule, meaning in RULES)
        draw_html(
            kit.card(
                "Pointed out",
                *parts,
                kit.note(f"Rings mark them above. The rules: {rules}."),
            )
        )


main()
