"""Preview statistics: exact match over the last previews, by regime, by source, over time."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from app.cards import kit
from app.cards.draw_html import draw_html
from app.text.html import NOTHING, fill
from app.views.models import PreviewStatus, Rate

TITLE = "Preview statistics"


def draw(view: PreviewStatus) -> None:
    """Draw the card."""
    draw_html(html(view))


def html(view: PreviewStatus) -> Markup:
    """The card as HTML."""
    if view.preview_count == 0:
        what = (
            "No preview has been logged."
            if view.unscored_count == 0
            else f"{view.unscored_count} previews were logged, none of them scored."
        )
        return kit.empty(
            TITLE, what, "Rates appear with the first preview that carries exact_match."
        )
    windows = (
        ("Last 20", view.preview_em_last_20),
        ("Last 50", view.preview_em_last_50),
        ("Last 100", view.preview_em_last_100),
    )
    return kit.card(
        TITLE,
        kit.bar_rows(
            (name, None if em is None else 100 * em, kit.percent(em)) for name, em in windows
        ),
        _breakdown("By regime", view.regime_stats),
        _breakdown("By source", view.source_stats),
        _breakdown("By pattern", view.domain_stats),
        kit.sparkline(view.em_trend, "Exact match", ("exact match over the last previews", "now")),
        aside=f"exact match, newest {view.preview_count} previews",
    )


def _breakdown(title: str, stats: Mapping[str, Rate]) -> Markup:
    if not stats:
        return NOTHING
    return kit.heading(title) + kit.bar_rows(
        (
            name,
            None if rate.em is None else 100 * rate.em,
            fill('{} <span class="cr-unit">of {}</span>', kit.percent(rate.em), rate.count),
        )
        for name, rate in stats.items()
    )
