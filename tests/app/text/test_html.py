"""HTML and text are different types: nothing is escaped twice, and nothing is left unescaped."""

from __future__ import annotations

import pytest
from markupsafe import Markup

from app.text.html import attribute, escaped, fill, join, text

NAME = "R&D <i>x</i>"
AS_HTML = "R&amp;D &lt;i&gt;x&lt;/i&gt;"


def test_a_text_is_escaped_once() -> None:
    assert text(NAME) == text(text(NAME)) == AS_HTML


def test_a_text_says_which_it_is() -> None:
    assert isinstance(text(NAME), Markup)
    assert type(NAME) is str


def test_quotes_cannot_end_an_attribute() -> None:
    assert attribute("\"'") == escaped("\"'") == "&quot;&#x27;"


def test_a_template_takes_text_and_html() -> None:
    html = fill("<b>{}</b>{name}{:,}", Markup("<i>y</i>"), 12_000, name=NAME)
    assert html == f"<b><i>y</i></b>{AS_HTML}12,000"


def test_what_was_filled_is_filled_in_as_it_is() -> None:
    assert fill("<p>{}</p>", fill("<b>{}</b>", NAME)) == f"<p><b>{AS_HTML}</b></p>"


def test_braces_of_a_text_are_no_places() -> None:
    assert fill("{}", fill("<b>{}</b>", "{0} {x.__class__}")) == "<b>{0} {x.__class__}</b>"


def test_parts_are_joined_whatever_they_are() -> None:
    assert join([Markup("<b>"), NAME], "; ") == f"<b>; {AS_HTML}"


def test_a_text_that_is_added_is_escaped() -> None:
    assert Markup("<b>") + "&" == "<b>&amp;"


@pytest.mark.parametrize("long", ["x" * 30_000, "ç" * 30_000])
def test_a_text_is_bounded_and_html_is_not(long: str) -> None:
    assert len(text(long)) < 20_200
    assert len(text(escaped(long))) == 30_000
