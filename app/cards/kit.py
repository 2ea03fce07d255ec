"""What the cards are made of: small pieces of HTML, every text escaped (``app/text/html.py``).

A card is one HTML element instead of a dozen widgets: a refresh then sends one element, and only
when something in it changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from urllib.parse import quote

from markupsafe import Markup

from app.text.durations import short_duration
from app.text.html import NOTHING, attribute, escaped, fill, join
from app.text.html import text as text  # for the cards and pages, which have names like it
from app.views.models import Level

NOT_KNOWN = "n/a"

# Shape as well as colour tells the levels apart.
SYMBOLS: dict[Level, str] = {"ok": "✓", "warning": "▲", "critical": "✕", "unknown": "○"}


def card(title: str, *parts: Markup, aside: str = "") -> Markup:
    """A card's whole inside: its heading, a muted remark beside it, then the parts."""
    small = fill("<small>{}</small>", aside) if aside else ""
    return fill('<div class="cr"><h3>{}{}</h3>{}</div>', title, small, join(parts))


def bare(*parts: Markup) -> Markup:
    """The parts as those of a card, without a heading."""
    return fill('<div class="cr">{}</div>', join(parts))


def columns(parts: Iterable[Markup]) -> Markup:
    """The parts side by side where there is room."""
    return fill('<div class="cr-machines">{}</div>', join(fill("<div>{}</div>", p) for p in parts))


def empty(title: str, what: str, next_step: str, *more: Markup) -> Markup:
    """A card with nothing to show yet: what is missing and what to do (plain text)."""
    told = fill('<p class="cr-empty">{}</p><p class="cr-note">{}</p>', what, next_step)
    return card(title, told, *more)


def rows(pairs: Iterable[tuple[str, Markup]], *, two_columns: bool = False) -> Markup:
    """Label and value pairs; in two columns where the card is wide enough."""
    lines = join(fill("<dt>{}</dt><dd>{}</dd>", label, value) for label, value in pairs)
    return fill('<dl class="two">{}</dl>' if two_columns else "<dl>{}</dl>", lines)


def figures(items: Iterable[tuple[str, Markup]], *, small: bool = False) -> Markup:
    """The few large numbers of a card, side by side: (label, value)."""
    cells = join(
        fill('<div class="cr-figure"><span>{}</span><b>{}</b></div>', label, value)
        for label, value in items
    )
    return fill('<div class="cr-figures{}">{}</div>', " small" if small else "", cells)


def bar(pct: float | None, label: str, level: Level = "ok") -> Markup:
    """A meter of 0-100 %; without a value, an empty track that says so to a screen reader."""
    width = 0.0 if pct is None else min(100.0, max(0.0, pct))
    said = NOT_KNOWN if pct is None else f"{pct:.0f} %"
    return fill(
        '<div class="cr-bar {level}" role="img" aria-label="{label}: {said}">'
        '<i style="width:{width:.1f}%"></i></div>',
        level=level,
        label=attribute(label),
        said=said,
        width=width,
    )


def bar_rows(items: Iterable[tuple[str, float | None, Markup]]) -> Markup:
    """Rows of name, meter (0-100 %) and value."""
    cells = join(
        fill(
            '<span title="{}">{}</span>{}<span>{}</span>',
            attribute(name),
            name,
            bar(pct, name),
            value,
        )
        for name, pct, value in items
    )
    return fill('<div class="cr-barrow">{}</div>', cells)


def chip(told: str, level: Level = "unknown", *, symbol: bool = True) -> Markup:
    """A small label whose level is told by symbol and colour."""
    sign = fill('<span aria-hidden="true">{}</span>', SYMBOLS[level]) if symbol else ""
    return fill(
        '<span class="cr-chip {}" title="{}">{}{}</span>', level, attribute(told), sign, told
    )


def chips(items: Iterable[Markup]) -> Markup:
    return fill('<div class="cr-chips">{}</div>', join(items))


def table(header: Sequence[str], lines: Iterable[Sequence[Markup]]) -> Markup:
    """A small table; the first cell of a line names it."""
    head = join(fill('<th scope="col">{}</th>', name) for name in header)
    body = join(
        fill(
            '<tr><th scope="row">{}</th>{}</tr>',
            line[0],
            join(fill("<td>{}</td>", cell) for cell in line[1:]),
        )
        for line in lines
    )
    return fill(
        '<div class="cr-table" tabindex="0"><table><thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>",
        head,
        body,
    )


def download(label: str, address: str, name: str) -> Markup:
    """A link, looking like a button, that saves what ``address`` answers as a file."""
    return fill(
        '<a class="cr-button" href="{}" download="{}"><span aria-hidden="true">⤓</span> {}</a>',
        escaped(address),
        escaped(name),
        label,
    )


def link(label: str, address: str) -> Markup:
    """A link of the app's own that opens beside the page."""
    return fill('<a href="{}" target="_blank" rel="noopener">{}</a>', escaped(address), label)


def heading(told: str) -> Markup:
    return fill("<h4>{}</h4>", told)


def text_box(html: Markup) -> Markup:
    """Long text as it is, in a box that scrolls by itself."""
    return fill('<div class="cr-text" tabindex="0">{}</div>', html)


def note(told: str) -> Markup:
    return fill('<p class="cr-note">{}</p>', told)


def problems(texts: Iterable[str], level: Level = "warning") -> Markup:
    """What could not be read, under the card it concerns."""
    return join(
        fill(
            '<div class="cr-problem {}"><span aria-hidden="true">{}</span><span>{}</span></div>',
            level,
            SYMBOLS[level],
            told,
        )
        for told in texts
    )


def sparkline(values: Sequence[float], label: str, ends: tuple[str, str] | None = None) -> Markup:
    """A line through ``values``, as wide as its card; gaps where a value is not finite.

    ``ends`` are the captions under its left and right end.
    """
    shown = _thinned(values)
    finite = [value for value in shown if math.isfinite(value)]
    if len(finite) < 2:
        return NOTHING
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
    captions = join(fill("<span>{}</span>", end) for end in ends or ())
    if captions:
        captions = fill('<div class="cr-sparkends">{}</div>', captions)
    # Streamlit removes <svg> from a page's HTML; as a mask it is kept and takes the theme's colour.
    return fill(
        '<div class="cr-spark" role="img" aria-label="{}" '
        'style="--cr-line-mask:url(&quot;data:image/svg+xml,{}&quot;)"></div>{}',
        attribute(said),
        escaped(quote(_SVG.format(lines), safe="")),
        captions,
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


def missing(why: str | None = None) -> Markup:
    """The "n/a" of a value that is not known, with the reason on hover."""
    title = fill(' title="{}"', attribute(why)) if why else ""
    return fill('<span class="cr-na"{}>{}</span>', title, NOT_KNOWN)


def number(value: float | None, digits: int = 0, unit: str = "") -> Markup:
    """A number for reading, thousands separated, or "n/a"."""
    if value is None:
        return missing()
    if not math.isfinite(value):
        return text(str(value))
    tail = fill('<span class="cr-unit"> {}</span>', unit) if unit else ""
    return fill("{}{}", f"{value:,.{digits}f}", tail)


def scientific(value: float | None) -> Markup:
    """Small positive numbers such as a learning rate: 2e-4."""
    if value is None:
        return missing()
    mantissa, _, exponent = f"{value:.3g}".partition("e")
    if exponent:
        return text(f"{mantissa}e{int(exponent)}")
    if 0 < value < 1e-2:
        return text(f"{value:.2e}".replace("e-0", "e-").replace(".00e", "e"))
    return text(mantissa)


def percent(fraction: float | None, digits: int = 0) -> Markup:
    """A fraction of 0-1 as a percentage."""
    return missing() if fraction is None else text(f"{100 * fraction:.{digits}f}%")


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
