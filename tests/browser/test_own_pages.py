"""Pages of the user's own in a real browser: in their place, and harming no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support import serving_app

pytestmark = pytest.mark.browser

TOKENS = """
import streamlit as st
from app.ui.page_files import Page

PAGE = Page(title="Token counts", icon=":material/token:", order=15)
st.write("Seven tokens")
"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "tokens.py").write_text(TOKENS)
    (pages / "raises.py").write_text("1 / 0\n")
    (pages / "live.py").write_text("")
    flags = ("--set", f"pages_dir={pages}")
    with serving_app(tmp_path / "run", tmp_path / "app.log", *flags) as served:
        yield served


def test_they_stand_in_their_place_and_one_that_raises_leaves_the_others_alone(
    browser: Browser, address: str
) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(address)
        links = page.get_by_test_id("stTopNavLink")
        expect(links.nth(1)).to_contain_text("Token counts")
        expect(links.nth(0)).to_contain_text("Live")
        expect(page.get_by_text("the app has /live already; rename the file")).to_be_visible()
        expect(page.get_by_text("Waiting for a trainer")).to_be_visible()
        page.goto(f"{address}/raises")
        expect(page.get_by_test_id("stException")).to_contain_text("raises.py")
        expect(page.get_by_test_id("stException")).to_contain_text("ZeroDivisionError")
        links.nth(1).click()
        expect(page.get_by_text("Seven tokens")).to_be_visible()
        expect(page.get_by_test_id("stException")).to_have_count(0)
