"""Compare: is B better than A, which examples say so, and what do they answer?"""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from app.cards import kit, preview
from app.cards.draw_html import draw_html
from app.charts import compare as charts
from app.text.diff import word_diff
from app.text.html import fill
from app.text.visible import cell
from app.ui.chart_box import chart_box
from app.ui.current import monitor, runs
from app.ui.filter_bar import write_address
from app.ui.page_files import Page
from app.ui.waiting import history_or_wait, wait_for_history
from app.views.comparison_sides import KINDS, SideKind, asked_of, filter_of, options
from app.watch.run_history import HistoryNotReady
from control_room.history.queries import Cursor
from control_room.history.questions.comparison import Comparison, Flip, PairOfSides, Side

PAGE = Page(title="Compare", icon=":material/compare_arrows:", order=50)

FLIPS_SHOWN = 200


def main() -> None:
    """Draw the page."""
    draw_html(kit.card("Compare"))
    cursor = history_or_wait()
    if cursor is None:
        return
    kind, a, b = choose(cursor)
    if a is None or b is None:
        draw_html(
            kit.empty(
                "Compare",
                f"There are not two {kind}s to compare.",
                _MISSING[kind],
            )
        )
        return
    try:
        pair = PairOfSides(side(kind, a), side(kind, b))
    except HistoryNotReady:
        wait_for_history([runs().monitor(name) for name in (a, b)])
        return
    found = pair.comparison()
    verdict(found, a, b)
    if not found.common:
        return
    left, right = st.columns(2, gap="small")
    with left, st.container(border=True, key="card-patterns"):
        chart_box(
            "compare-patterns",
            "Fixed and broken, by pattern",
            charts.by_pattern(found.patterns),
            "No example turned.",
        )
    with right, st.container(border=True, key="card-modes"):
        chart_box(
            "compare-modes",
            "Fixed and broken, by failure mode",
            charts.by_mode(found.fixed_modes, found.broken_modes),
            "No example turned.",
        )
    with st.container(border=True, key="card-flips"):
        flips(pair, found)


_MISSING: dict[SideKind, str] = {
    "checkpoint": "Previews tell theirs as checkpoint_id; the preview runner always does.",
    "regime": "Previews tell theirs as regime.",
    "dataset": "Previews tell theirs as dataset_id.",
    "run": 'More runs are named in the settings: runs = ["runs/*"] in control_room.toml.',
}


def choose(cursor: Cursor) -> tuple[SideKind, str | None, str | None]:
    """The selectors; at first the oldest against the newest."""
    asked = asked_of(st.query_params)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind: SideKind = st.segmented_control(
            "Compare two", KINDS, default=asked.kind, required=True, key="compare-kind"
        )
        names = options(kind, cursor, runs().directories())
        if len(names) < 2:
            write_address({"by": kind})
            return kind, None, None
        same = kind == asked.kind
        a = _select("A, before", names, asked.a if same else None, names[0], f"a-{kind}")
        b = _select("B, after", names, asked.b if same else None, names[-1], f"b-{kind}")
    write_address({"by": kind, "a": a, "b": b})
    return kind, a, b


def _select(label: str, names: list[str], asked: str | None, usual: str, key: str) -> str:
    shown = asked if asked in names else usual
    chosen: str = st.selectbox(
        label,
        names,
        index=names.index(shown),
        format_func=cell,
        key=f"compare-{key}",
        width=280,
    )
    return chosen


def side(kind: SideKind, name: str) -> Side:
    """One side's previews. Raises ``HistoryNotReady`` while its history is being read."""
    of_run = runs().monitor(name) if kind == "run" else monitor()
    return Side(of_run.history.cursor(), filter_of(kind, name))


def verdict(found: Comparison, a: str, b: str) -> None:
    """The difference, and whether it may be chance."""
    figures = [
        (f"A · {a}", _rate(found.a.em, found.a.interval, found.a.count)),
        (f"B · {b}", _rate(found.b.em, found.b.interval, found.b.count)),
    ]
    difference = found.difference
    if difference is not None:
        figures.append(("Difference, B − A", kit.text(f"{100 * difference:+.1f} points")))
    if found.common:
        figures.append(("Fixed / broken", kit.text(f"{found.fixed:,} / {found.broken:,}")))
    with st.container(border=True, key="card-verdict"):
        draw_html(kit.card("Verdict", kit.figures(figures), kit.note(said(found))))


def said(found: Comparison) -> str:
    """The test in words."""
    if not found.a.count or not found.b.count:
        return "One side has no scored preview."
    if found.p_value is not None:
        chance = (
            "too few flips to tell them apart from chance"
            if found.p_value >= 0.05
            else "more than chance would bring"
        )
        p = "< 0.0001" if found.p_value < 1e-4 else f"= {found.p_value:.4f}"
        return (
            f"{found.common:,} examples were answered in both; of those {found.fixed:,} turned "
            f"right and {found.broken:,} wrong: {chance} (McNemar, exact, p {p}). The difference "
            "is over these examples; the rates above are over all of each side."
        )
    low, high = found.interval or (-1.0, 1.0)
    chance = "it may be chance" if low <= 0 <= high else "more than chance would bring"
    return (
        "No example was answered in both, so the rates are compared as independent samples: the "
        f"difference lies between {100 * low:+.1f} and {100 * high:+.1f} points (95 %, Newcombe): "
        f"{chance}."
    )


def flips(pair: PairOfSides, found: Comparison) -> None:
    """The examples that turned; one that is chosen is shown with both answers."""
    wanted = st.segmented_control(
        "Examples that turned",
        ["broken", "fixed"],
        default="broken" if found.broken else "fixed",
        required=True,
        key="compare-flips",
    )
    turned = pair.flips(fixed=wanted == "fixed", limit=FLIPS_SHOWN)
    if not turned:
        draw_html(kit.empty("Flips", f"No example was {wanted}.", "Look at the other kind."))
        return
    if len(turned) < (every := found.fixed if wanted == "fixed" else found.broken):
        st.caption(f"The newest {len(turned)} of {every:,}.")
    chosen = st.dataframe(
        [_row(flip) for flip in turned],
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"compare-table-{wanted}",
    )
    places = chosen.selection.rows
    if not places:
        st.caption("Choose a row to read both answers.")
        return
    draw_flip(turned[places[0]])


def _row(flip: Flip) -> dict[str, str]:
    row = {
        "Example": flip.after.example_id or "",
        "Pattern": flip.after.pattern or "",
        "Prompt": flip.after.prompt,
        "Golden": flip.after.golden,
        "A answered": flip.before.model_answer,
        "B answered": flip.after.model_answer,
        "A failed by": (flip.before.failure_mode or "").replace("_", " "),
        "B failed by": (flip.after.failure_mode or "").replace("_", " "),
    }
    return {name: cell(text) for name, text in row.items()}


def draw_flip(flip: Flip) -> None:
    """Prompt, golden answer and both answers, what differs from the golden one marked."""
    after = flip.after
    draw_html(
        kit.bare(
            kit.heading("Prompt"),
            kit.text_box(kit.text(after.prompt)),
            kit.heading("Golden"),
            kit.text_box(kit.text(after.golden)),
        )
    )
    left, right = st.columns(2, gap="small")
    for place, name, answer in ((left, "A", flip.before), (right, "B", after)):
        mark = "✓ right" if answer.exact_match else "✕ wrong"
        why = preview.why_no_answer(answer)
        text = word_diff(after.golden, answer.model_answer).answer_html
        with place:
            draw_html(
                kit.bare(
                    kit.heading(f"{name}, step {answer.step:,} · {mark}"),
                    kit.text_box(text) if why is None else kit.problems([why]),
                )
            )


def _rate(em: float | None, interval: tuple[float, float] | None, count: int) -> Markup:
    if em is None or interval is None:
        return kit.missing("no scored preview")
    low, high = interval
    return fill(
        "{} <small>[{:.0f}-{:.0f}] of {:,}</small>",
        kit.percent(em, 1),
        100 * low,
        100 * high,
        count,
    )


main()
