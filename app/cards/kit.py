"""What the cards are made of: small pieces of HTML, every text escaped.

A card is one HTML element instead of a dozen widgets: a refresh then sends one element, and only
when something in it changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise
from urllib.parse import quote

from app.text.durations import short_duration
from app.text.visible import cell, needs_isolation, pieces, shown
from app.views.models import Level

NOT_KNOWN = "n/a"

# Shape as well as colour tells the levels apart.
SYMBOLS: dict[Level, str] = {"ok": "✓", "warning": "▲", "critical": "✕", "unknown": "○"}


def text(told: str) -> str:
    """A text from anywhere as HTML: escaped, bounded, nothing hidden, kept to its own place."""
    html = "<wbr>".join(map(escape, pieces(shown(told))))
    return f"<bdi>{html}</bdi>" if needs_isolation(told) else html


def attribute(told: str) -> str:
    """The same for the value of an attribute."""
    return escape(cell(told))


def card(title: str, *parts: str, aside: str = "") -> str:
    """A card's whole inside: its heading, a muted remark beside it, then the parts."""
    small = f"<small>{text(aside)}</small>" if aside else ""
    return f'<div class="cr"><h3>{text(title)}{small}</h3>{"".join(parts)}</div>'


def empty(title: str, what: str, next_step: str) -> str:
    """A card with nothing to show yet: what is missing and what to do (plain text)."""
    return card(
        title, f'<p class="cr-empty">{text(what)}</p><p class="cr-note">{text(next_step)}</p>'
    )


def rows(pairs: Iterable[tuple[str, str]], *, two_columns: bool = False) -> str:
    """Label and value pairs, the values as HTML; in two columns where the card is wide enough."""
    return (
        ('<dl class="two">' if two_columns else "<dl>")
        + "".join(f"<dt>{text(label)}</dt><dd>{value}</dd>" for label, value in pairs)
        + "</dl>"
    )


def figures(items: Iterable[tuple[str, str]], *, small: bool = False) -> str:
    """The few large numbers of a card, side by side: (label, value as HTML)."""
    cells = "".join(
        f'<div class="cr-figure"><span>{text(label)}</span><b>{value}</b></div>'
        for label, value in items
    )
    return f'<div class="cr-figures{" small" if small else ""}">{cells}</div>'


def bar(pct: float | None, label: str, level: Level = "ok") -> str:
    """A meter of 0-100 %; without a value, an empty track that says so to a screen reader."""
    width = 0.0 if pct is None else min(100.0, max(0.0, pct))
    said = NOT_KNOWN if pct is None else f"{pct:.0f} %"
    return (
        f'<div class="cr-bar {level}" role="img" aria-label="{attribute(label)}: {said}">'
        f'<i style="width:{width:.1f}%"></i></div>'
    )


def bar_rows(items: Iterable[tuple[str, float | None, str]]) -> str:
    """Rows of name, meter (0-100 %) and value (HTML)."""
    cells = "".join(
        f'<span title="{attribute(name)}">{text(name)}</span>{bar(pct, name)}<span>{value}</span>'
        for name, pct, value in items
    )
    return f'<div class="cr-barrow">{cells}</div>'


def chip(told: str, level: Level = "unknown", *, symbol: bool = True) -> str:
    """A small label whose level is told by symbol and colour."""
    sign = f'<span aria-hidden="true">{SYMBOLS[level]}</span>' if symbol else ""
    return f'<span class="cr-chip {level}" title="{attribute(told)}">{sign}{text(told)}</span>'


def chips(items: Iterable[str]) -> str:
    return f'<div class="cr-chips">{"".join(items)}</div>'


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A small table; cells are HTML, the first of a line names it."""
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in header)
    body = "".join(
        "<tr>"
        + f'<th scope="row">{line[0]}</th>'
        + "".join(f"<td>{cell}</td>" for cell in line[1:])
        + "</tr>"
        for line in lines
    )
    return (
        f'<div class="cr-table" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def download(label: str, address: str, name: str) -> str:
    """A link, looking like a button, that saves what ``address`` answers as a file."""
    return (
        f'<a class="cr-button" href="{escape(address)}" download="{escape(name)}">'
        f'<span aria-hidden="true">⤓</span> {text(label)}</a>'
    )


def link(label: str, address: str) -> str:
    """A link of the app's own that opens beside the page."""
    return f'<a href="{escape(address)}" target="_blank" rel="noopener">{text(label)}</a>'


def heading(told: str) -> str:
    return f"<h4>{text(told)}</h4>"


def text_box(text_html: str) -> str:
    """Long text as it is, in a box that scrolls by itself."""
    return f'<div class="cr-text" tabindex="0">{text_html}</div>'


def note(told: str) -> str:
    return f'<p class="cr-note">{text(told)}</p>'


def problems(texts: Iterable[str], level: Level = "warning") -> str:
    """What could not be read, under the card it concerns."""
    return "".join(
        f'<div class="cr-problem {level}"><span aria-hidden="true">{SYMBOLS[level]}</span>'
        f"<span>{text(told)}</span></div>"
        for told in texts
    )


def sparkline(values: Sequence[float], label: str, ends: tuple[str, str] | None = None) -> str:
    """A line through ``values``, as wide as its card; gaps where a value is not finite.

    ``ends`` are the captions under its left and right end.
    """
    shown = _thinned(values)
    finite = [value for value in shown if math.isfinite(value)]
    if len(finite) < 2:
        return ""
    low, high = min(finite), max(finite)
    span = (high - low) or 1.0
    runs: list[list[str]] = [[]]
    for index, value in enumerate(shown):
        if math.isfinite(value):
            x = 200 * index / (len(shown) - 1)
            runs[-1].append(f"{x:.0f},{39 - 38 * (value - low) / span:.1f}")
        elif runs[-1]:
            runs.append([])
    lines = "".join(_LINE.format(" ".join(run)) for run in runs if run)
    said = f"{label}: from {_plain(values[0])} to {_plain(values[-1])}"
    captions = "".join(f"<span>{text(end)}</span>" for end in ends or ())
    if captions:
        captions = f'<div class="cr-sparkends">{captions}</div>'
    # Streamlit removes <svg> from a page's HTML; as a mask it is kept and takes the theme's colour.
    mask = f"url(&quot;data:image/svg+xml,{quote(_SVG.format(lines), safe='')}&quot;)"
    return (
        f'<div class="cr-spark" role="img" aria-label="{attribute(said)}" '
        f'style="--cr-line-mask:{mask}"></div>{captions}'
    )


_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 40" preserveAspectRatio="none" '
    'fill="none" stroke="#000" stroke-width="1.5">{}</svg>'
)
_LINE = '<polyline vector-effect="non-scaling-stroke" points="{}"/>'
_MOST_POINTS = 80


def _thinned(values: Sequence[float]) -> list[float]:
    """At most ``_MOST_POINTS`` values: the mean of each stretch, not finite if any in it is not."""
    if len(values) <= _MOST_POINTS:
        return list(values)
    edges = [round(i * len(values) / _MOST_POINTS) for i in range(_MOST_POINTS + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]


def _plain(value: float) -> str:
    return f"{value:,.3f}"


def missing(why: str | None = None) -> str:
    """The "n/a" of a value that is not known, with the reason on hover."""
    title = f' title="{attribute(why)}"' if why else ""
    return f'<span class="cr-na"{title}>{NOT_KNOWN}</span>'


def number(value: float | None, digits: int = 0, unit: str = "") -> str:
    """A number for reading, thousands separated, or "n/a"."""
    if value is None:
        return missing()
    if not math.isfinite(value):
        return text(str(value))
    tail = f'<span class="cr-unit"> {text(unit)}</span>' if unit else ""
    return f"{value:,.{digits}f}{tail}"


def scientific(value: float | None) -> str:
    """Small positive numbers such as a learning rate: 2e-4."""
    if value is None:
        return missing()
    mantissa, _, exponent = f"{value:.3g}".partition("e")
    if exponent:
        return f"{mantissa}e{int(exponent)}"
    return (
        f"{value:.2e}".replace("e-0", "e-").replace(".00e", "e") if 0 < value < 1e-2 else mantissa
    )


def percent(fraction: float | None, digits: int = 0) -> str:
    """A fraction of 0-1 as a percentage."""
    return missing() if fraction is None else f"{100 * fraction:.{digits}f}%"


def duration(seconds: float | None) -> str:
    """``2h 15m``, ``3m 20s``, ``45s``: two units at most."""
    return short_duration(seconds) or NOT_KNOWN


def ago(seconds: float | None) -> str:
    """How old something is, in steps coarse enough not to change the page each second."""
    if seconds is None:
        return "never"
    if seconds < 5:
        return "now"
    if seconds < 60:
        return f"{5 * int(seconds // 5)}s ago"
    if seconds < 3600:
        return f"{int(seconds // 60)}m ago"
    return f"{duration(seconds)} ago"
