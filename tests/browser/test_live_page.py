"""The live page in a real browser, watching the real demo trainer."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.looks import (
    SCREENSHOTS,
    SIZES,
    Scheme,
    every_look,
    looking,
    overflows,
)
from tests.support import process, serving_app, wait_until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app's address, with the demo trainer at work in its run directory."""
    directory = tmp_path_factory.mktemp("demo")
    run_dir = directory / "run"
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    trainer = ["examples.train", "--run-dir", str(run_dir)]
    with (
        process(trainer, log=directory / "train.log", env=threads),
        serving_app(run_dir, directory / "app.log") as address,
    ):
        yield address


@pytest.fixture
def page(browser: Browser, demo: str) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        opened = context.new_page()
        opened.goto(demo)
        expect(card(opened, "preview-stats")).to_contain_text("of", timeout=60_000)
        yield opened


def card(page: Page, name: str) -> Locator:
    return page.locator(f".st-key-card-{name}")


def number_after(label: str, text: str) -> int:
    found = re.search(rf"{label}\s*([\d,]+)", text)
    assert found is not None, f"no number after {label!r} in {text!r}"
    return int(found[1].replace(",", ""))


def test_the_step_moves_without_a_reload(page: Page) -> None:
    def step() -> int:
        return number_after("Step", card(page, "summary").inner_text())

    page.evaluate("window.notReloaded = true")
    before = step()
    wait_until(lambda: step() > before, 30, "a higher step")
    assert page.evaluate("window.notReloaded")


def test_exact_match_changes_without_a_reload(page: Page) -> None:
    def rates() -> str:
        return card(page, "preview-stats").inner_text()

    page.evaluate("window.notReloaded = true")
    before = rates()
    assert "%" in before
    wait_until(lambda: rates() != before, 60, "another exact-match rate")
    assert page.evaluate("window.notReloaded")


def test_an_opened_expander_and_the_scroll_stay_through_refreshes(page: Page) -> None:
    prompt = card(page, "preview").locator("details")
    prompt.locator("summary").click()
    expect(prompt).to_have_attribute("open", "")
    scroller = page.locator('[data-testid="stMain"]')
    scroller.evaluate("element => element.scrollTo(0, 120)")

    seen: set[str] = set()

    def refreshed_three_times() -> bool:
        seen.add(card(page, "summary").inner_text())
        return len(seen) > 3

    wait_until(refreshed_three_times, 60, "three refreshes")
    expect(prompt).to_have_attribute("open", "")
    assert scroller.evaluate("element => element.scrollTop") > 0


def test_a_held_preview_stays_on_screen(page: Page) -> None:
    preview = card(page, "preview")
    preview.get_by_text("Hold this preview").click()
    expect(preview.locator('input[type="checkbox"]')).to_be_checked()

    def shown() -> str:
        return preview.locator(".cr-answers").inner_text()

    wait_until(lambda: preview.locator(".cr-answers").count() == 1, 10)
    held = shown()
    stats = card(page, "preview-stats").inner_text()
    wait_until(lambda: card(page, "preview-stats").inner_text() != stats, 60, "newer previews")
    assert shown() == held


@every_look
def test_nothing_overflows_and_screenshots_are_taken(
    browser: Browser, demo: str, size: str, scheme: Scheme
) -> None:
    width, _ = SIZES[size]
    with looking(browser, size, scheme) as page:
        page.goto(demo)
        expect(card(page, "preview-stats")).to_contain_text("of", timeout=60_000)
        assert not overflows(page)
        cards = page.locator('[class*="st-key-card-"]')
        expect(cards).to_have_count(8)
        for index in range(cards.count()):
            box = cards.nth(index).bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width + 0.5
        page.screenshot(path=SCREENSHOTS / f"live-{size}-{scheme}.png")
