"""A page as Streamlit runs it, without a browser."""

from __future__ import annotations

import re

from streamlit.testing.v1 import AppTest

from tests.support import ROOT


def open_page(name: str, **query: str) -> AppTest:
    """The page in ``pages/NAME.py``, drawn once with this in its address."""
    page = AppTest.from_file(ROOT / "pages" / f"{name}.py", default_timeout=120)
    for key, value in query.items():
        page.query_params[key] = value
    page.run()
    assert not page.exception
    return page


def html(page: AppTest) -> str:
    """All of the page's own HTML."""
    return " ".join(str(element.proto.body) for element in page.get("html"))


def warnings(page: AppTest) -> list[str]:
    """The texts of the page's warnings, as a person reads them."""
    return [re.sub(r"\\([^a-zA-Z0-9\s])", r"\1", each.value) for each in page.warning]
