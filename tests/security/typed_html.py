"""What a type checker says of HTML: mypy reads this file, nobody runs it.

A comment that ignores an error is an error itself where there is none to ignore.
"""

from __future__ import annotations

from markupsafe import Markup

from app.cards import kit
from app.cards.draw_html import draw_html
from app.text.html import fill, join


def accepted(name: str) -> None:
    """HTML of the kit, and what is put together of it."""
    draw_html(kit.card(name, kit.note(name), kit.text(name)))
    draw_html(fill("<b>{}</b>", name) + kit.bare(kit.text(name)))
    draw_html(join([name, kit.heading(name)]))
    draw_html(Markup("<b>ours</b>"))


def refused(name: str) -> None:
    """Text, and HTML that a text was made of again: which of it is escaped, nobody knows."""
    draw_html(name)  # type: ignore[arg-type]  # a text
    draw_html("<b>ours</b>")  # type: ignore[arg-type]  # not said to be ours
    draw_html(f"<b>{name}</b>")  # type: ignore[arg-type]  # a name within HTML
    draw_html(f"{kit.note(name)}{kit.heading(name)}")  # type: ignore[arg-type]  # HTML made a text
    draw_html("".join([kit.note(name), kit.heading(name)]))  # type: ignore[arg-type]  # as well
    kit.chips([name])  # type: ignore[list-item]  # no chip
    kit.rows([("Loss", f"{kit.number(0.5)} ✓")])  # type: ignore[list-item]  # HTML made a text
    kit.text_box(name)  # type: ignore[arg-type]  # a text
