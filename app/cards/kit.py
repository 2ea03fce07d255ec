"""What the cards are made of: small pieces of HTML, every text escaped.

A card is one HTML element instead of a dozen widgets: a refresh then sends one element, and only
when something in it changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from app.views import Level

NOT_KNOWN = "n/a"

# Shape as well as colour tells the levels apart.
SYMBOLS: dict[Level, str] = {"ok": "✓", "warning": "▲", "critical": "✕", "unknown": "○"}


def card(title: str, *parts: str, aside: str = "") -> str:
    """A card's whole inside: its heading, a muted remark beside it, then the parts."""
    small = f"<small>{escape(aside)}</small>" if aside else ""
    return f'<div class="cr"><h3>{escape(title)}{small}</h3>{"".join(parts)}</div>'


def empty(title: str, what: str, next_step: str) -> str:
    """A card with nothing to show yet: what is missing and what to do (plain text)."""
    return card(
        title, f'<p class="cr-empty">{escape(what)}</p><p class="cr-note">{escape(next_step)}</p>'
    )


def rows(pairs: Iterable[tuple[str, str]]) -> str:
    """Label and value pairs; the values are HTML already."""
    return (
        "<dl>"
        + "".join(f"<dt>{escape(label)}</dt><dd>{value}</dd>" for label, value in pairs)
        + "</dl>"
    )


def figures(items: Iterable[tuple[str, str]]) -> str:
    """The few large numbers of a card: (label, value as HTML)."""
    cells = "".join(
        f'<div class="cr-figure"><span>{escape(label)}</span><b>{value}</b></div>'
        for label, value in items
    )
    return f'<div class="cr-figures">{cells}</div>'


def bar(pct: float | None, label: str, level: Level = "ok") -> str:
    """A meter of 0-100 %; without a value, an empty track that says so to a screen reader."""
    width = 0.0 if pct is None else min(100.0, max(0.0, pct))
    said = NOT_KNOWN if pct is None else f"{pct:.0f} %"
    return (
        f'<div class="cr-bar {level}" role="img" aria-label="{escape(label)}: {said}">'
        f'<i style="width:{width:.1f}%"></i></div>'
    )


def bar_rows(items: Iterable[tuple[str, float | None, str]]) -> str:
    """Rows of name, meter (0-100 %) and value (HTML)."""
    cells = "".join(
        f'<span title="{escape(name)}">{escape(name)}</span>{bar(pct, name)}<span>{value}</span>'
        for name, pct, value in items
    )
    return f'<div class="cr-barrow">{cells}</div>'


def chip(text: str, level: Level = "unknown", *, symbol: bool = True) -> str:
    """A small label whose level is told by symbol and colour."""
    sign = f'<span aria-hidden="true">{SYMBOLS[level]}</span>' if symbol else ""
    return f'<span class="cr-chip {level}" title="{escape(text)}">{sign}{escape(text)}</span>'


def chips(items: Iterable[str]) -> str:
    return f'<div class="cr-chips">{"".join(items)}</div>'


def heading(text: str) -> str:
    return f"<h4>{escape(text)}</h4>"


def text_box(text_html: str) -> str:
    """Long text as it is, in a box that scrolls by itself."""
    return f'<div class="cr-text" tabindex="0">{text_html}</div>'


def note(text: str) -> str:
    return f'<p class="cr-note">{escape(text)}</p>'


def problems(texts: Iterable[str], level: Level = "warning") -> str:
    """What could not be read, under the card it concerns."""
    return "".join(
        f'<div class="cr-problem {level}"><span aria-hidden="true">{SYMBOLS[level]}</span>'
        f"<span>{escape(text)}</span></div>"
        for text in texts
    )


def sparkline(values: Sequence[float], label: str, ends: tuple[str, str] | None = None) -> str:
    """A line through ``values``, as wide as its card; gaps where a value is not finite.

    ``ends`` are the captions under its left and right end.
    """
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:
        return ""
    low, high = min(finite), max(finite)
    span = (high - low) or 1.0
    runs: list[list[str]] = [[]]
    for index, value in enumerate(values):
        if math.isfinite(value):
            x = 100 * index / (len(values) - 1)
            runs[-1].append(f"{x:.1f},{38 - 36 * (value - low) / span:.1f}")
        elif runs[-1]:
            runs.append([])
    lines = "".join(f'<polyline points="{" ".join(run)}"/>' for run in runs if run)
    said = f"{label}: from {number(values[0], 3)} to {number(values[-1], 3)}"
    captions = "".join(f"<span>{escape(end)}</span>" for end in ends or ())
    if captions:
        captions = f'<div class="cr-sparkends">{captions}</div>'
    return (
        f'<svg class="cr-spark" viewBox="0 0 100 40" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(said)}">{lines}</svg>{captions}'
    )


def missing(why: str | None = None) -> str:
    """The "n/a" of a value that is not known, with the reason on hover."""
    title = f' title="{escape(why)}"' if why else ""
    return f'<span class="cr-na"{title}>{NOT_KNOWN}</span>'


def number(value: float | None, digits: int = 0, unit: str = "") -> str:
    """A number for reading, thousands separated, or "n/a"."""
    if value is None:
        return missing()
    if not math.isfinite(value):
        return escape(str(value))
    tail = f'<span class="cr-unit"> {escape(unit)}</span>' if unit else ""
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
    if seconds is None or not math.isfinite(seconds):
        return NOT_KNOWN
    whole = round(max(0.0, seconds))
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, secs = divmod(rest, 60)
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    if minutes:
        return f"{minutes}m {secs:02d}s"
    return f"{secs}s"


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
