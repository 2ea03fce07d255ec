"""HTML is ``Markup``, text is ``str``: the one place that makes HTML of text.

A function takes the one or the other, so that a checker sees what is escaped twice or not at all.
Text that is HTML already stays as it is here.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from markupsafe import Markup

from app.text.visible import cell, needs_isolation, pieces, shown

NOTHING = Markup()


def text(told: str) -> Markup:
    """A text from anywhere as HTML: escaped, bounded, nothing hidden, kept to its own place."""
    if isinstance(told, Markup):
        return told
    html = Markup("<wbr>".join(map(escape, pieces(shown(told)))))
    return Markup("<bdi>{}</bdi>").format(html) if needs_isolation(told) else html


def attribute(told: str) -> Markup:
    """The same for the value of an attribute."""
    return escaped(cell(told))


def escaped(told: str) -> Markup:
    """The text as it is, of any length, with what means something in HTML written out."""
    return Markup(escape(told))


def fill(template: str, *values: str | float, **named: str | float) -> Markup:
    """``template``, HTML of our own, with texts and HTML in its places (as in ``str.format``).

    Between quotes :func:`attribute` makes the value. A test sees to it that a template is written
    out where it is used.
    """
    return Markup(
        template.format(*map(_filled, values), **{k: _filled(v) for k, v in named.items()})
    )


def _filled(value: str | float) -> str | float:
    return text(value) if isinstance(value, str) else value


def join(parts: Iterable[str], between: str = "") -> Markup:
    """The parts, one after the other."""
    return text(between).join(map(text, parts))
