"""Evals, compare, stability, heads and runs in a real browser, over two runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.analysed import record_run
from tests.browser.looks import SCREENSHOTS, Scheme, every_look, looking, overflows
from tests.support import serving_app

pytestmark = pytest.mark.browser

# What is on each page once it is drawn.
DRAWN = {
    "evals": "Checkpoints and snapshots",
    "compare": "were answered in both",
    "stability": "cost or gained",
    "heads": "Pointed out",
    "runs": "Settings and outcome",
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("runs")
    record_run(directory / "first")
    record_run(directory / "second", seed=1, learns=False)
    runs = ("--set", f'runs=["{directory}/*"]')
    with serving_app(directory / "first", directory / "app.log", *runs) as served:
        yield served


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 1440, "height": 1600}) as context:
        yield context.new_page()


@every_look
def test_nothing_overflows_and_screenshots_are_taken(
    browser: Browser, address: str, size: str, scheme: Scheme
) -> None:
    with looking(browser, size, scheme) as page:
        for name, text in DRAWN.items():
            page.goto(f"{address}/{name}")
            expect(page.get_by_text(text).first).to_be_visible(timeout=60_000)
            assert not overflows(page), name
            page.screenshot(path=SCREENSHOTS / f"{name}-{size}-{scheme}.png")


def test_the_chosen_run_stays_through_the_pages_and_in_the_address(
    page: Page, address: str
) -> None:
    page.goto(f"{address}/stability")
    expect(page.get_by_text("Right now")).to_be_visible(timeout=60_000)
    page.get_by_role("combobox", name="Run").click()
    page.get_by_role("option", name="Run: second").click()
    expect(page).to_have_url(f"{address}/stability?run=second", timeout=30_000)
    expect(page.locator(".st-key-card-learning")).to_contain_text("1 of 8", timeout=30_000)
    page.get_by_role("link", name="Heads").click()
    expect(page).to_have_url(f"{address}/heads?run=second", timeout=30_000)
    page.reload()
    chosen = page.get_by_role("combobox", name="Run")
    expect(chosen).to_have_value("Run: second", timeout=30_000)


def test_the_address_of_a_run_that_is_gone_says_so(page: Page, address: str) -> None:
    page.goto(f"{address}/heads?run=third")
    expect(page.get_by_text("There is no run third")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Pointed out")).to_be_visible(timeout=60_000)


def test_a_flip_is_read_with_both_answers(page: Page, address: str) -> None:
    page.goto(f"{address}/compare?by=checkpoint&a=checkpoint-100&b=checkpoint-600")
    table = page.locator(".st-key-card-flips [data-testid='stDataFrame']")
    expect(table).to_be_visible(timeout=60_000)
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 18, box["y"] + 52)  # the first row's box
    expect(page.get_by_text("A, step 100 · ✕ wrong")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("B, step 600 · ✓ right")).to_be_visible()


def test_a_note_from_the_live_page_stands_on_the_charts(page: Page, address: str) -> None:
    page.goto(address)
    line = page.get_by_label("Add a note")
    expect(line).to_be_visible(timeout=60_000)
    line.fill("switched data")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".st-key-card-notes")).to_contain_text("switched data", timeout=30_000)
    page.goto(f"{address}/evals")
    marks = page.locator(".st-key-card-em .annotation-text", has_text="✎")
    expect(marks).to_have_count(2, timeout=60_000)
