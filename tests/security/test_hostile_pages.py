"""Over a hostile run, and with a hostile address: no page shows a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import httpx
import pytest
from playwright.sync_api import Browser, expect
from streamlit.testing.v1 import AppTest

from app.watch.monitor import Monitor
from tests.pages.opened import html, watching_run
from tests.security.chromium import watched
from tests.security.hostile_run import TEXTS, record_hostile_run
from tests.support import PATIENCE_S, ROOT, serving_app, wait_until

PAGES = sorted(page.stem for page in (ROOT / "pages").glob("*.py"))
# What the pages take from their addresses, between them.
QUERY = (
    *("run", "page", "regime", "source_pool", "exact_match", "failure_mode", "dataset_id", "q"),
    *("pattern", "checkpoint_id", "example_id", "min_length", "since", "until", "min_step"),
    *("of", "curve", "by", "left", "right", "a", "b", "sql", "preview", "embed"),
)
# An address holds UTF-8: half a surrogate pair cannot come in one.
ADDRESSED = [text for text in TEXTS if text and "\ud800" not in text]

_EACH = 5


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitor]:
    path = tmp_path_factory.mktemp("hostile") / "run"
    record_hostile_run(path)
    with watching_run(path) as started:
        yield started


@pytest.mark.parametrize("name", PAGES)
def test_a_hostile_run_is_shown(watching: Monitor, name: str) -> None:
    page = opened(name)
    assert "<script>document" not in html(page)
    assert "onerror=alert(1)>" not in html(page)


@pytest.mark.parametrize("place", range(len(PAGES)), ids=PAGES)
def test_a_hostile_address_is_answered(watching: Monitor, place: int) -> None:
    """Each page with a few of the texts in all parameters, all texts between them."""
    for text in ADDRESSED[place % _EACH :: _EACH]:
        opened(PAGES[place], dict.fromkeys(QUERY, text))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the real app over the hostile run, once it has read it."""
    directory = tmp_path_factory.mktemp("hostile_app")
    record_hostile_run(directory / "run")
    with serving_app(directory / "run", directory / "app.log") as served:

        def has_read() -> bool:
            asked = httpx.get(f"{served}/api/preview/history", timeout=PATIENCE_S)
            return asked.status_code == 200

        wait_until(has_read, what="the hostile run")
        yield served


@pytest.mark.browser
@pytest.mark.parametrize("name", PAGES)
def test_a_browser_asks_no_other_place_for_anything(
    browser: Browser, address: str, name: str
) -> None:
    """Not even in vain: a policy that forbids it is there for what nobody thought of."""
    picture = "![x](http://192.0.2.1/x.png)"
    with browser.new_context() as context:
        page = context.new_page()
        against = watched(page)
        for query in ({}, dict.fromkeys(QUERY, picture)):
            page.goto(f"{address}/{name}?{urlencode(query)}")
            app = page.get_by_test_id("stApp")
            expect(app).to_have_attribute("data-test-script-state", "notRunning")
            expect(page.locator(".cr").first).to_be_attached()
            page.wait_for_load_state("networkidle")
        assert against == []
        assert page.title() != "run", "a script of the run's ran"


def opened(name: str, query: dict[str, str] | None = None) -> AppTest:
    page = AppTest.from_file(ROOT / "pages" / f"{name}.py", default_timeout=120)
    for key, value in (query or {}).items():
        page.query_params[key] = value
    page.run()
    assert not page.exception, (name, [each.message for each in page.exception])
    return page
