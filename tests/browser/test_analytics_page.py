"""The analytics and SQL pages in a real browser: click a cell, read its previews; ask, and draw."""

from __future__ import annotations

import csv
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from control_room import Recorder
from tests.support import serving_app

pytestmark = pytest.mark.browser

PATTERNS = ("addition", "counting", "syllogism")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Per pattern 20 previews of 10 tokens, 20 of 60 and 20 of 150; the first pattern is best."""
    directory = tmp_path_factory.mktemp("analytics")
    with Recorder(directory / "run") as recorder:
        for step in range(180):
            kind = step % 3
            recorder.log_preview(
                step=step,
                prompt=f"What is {step}?",
                golden="g",
                model_answer="g",
                exact_match=step % 5 >= kind * 2,
                regime="plain_sft",
                pattern=PATTERNS[kind],
                golden_tokens=(10, 60, 150)[step // 60],
            )
    with serving_app(directory / "run", directory / "app.log") as served:
        yield served


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 1440, "height": 1400}) as context:
        opened = context.new_page()
        opened.goto(f"{address}/analytics")
        expect(opened.get_by_text("Pattern by length")).to_be_visible(timeout=60_000)
        yield opened


def click_cell(page: Page, row: int, column: int, *, across: float = 0.5) -> None:
    """Click into a cell of the heatmap; rows from the top, both from 0."""
    heatmap = page.locator(".st-key-card-heatmap .js-plotly-plot")
    heatmap.locator(".nsewdrag").wait_for(state="attached")
    box = heatmap.locator(".nsewdrag").bounding_box()
    assert box is not None
    x = box["x"] + box["width"] * (column + across) / 4
    y = box["y"] + box["height"] * (row + 0.5) / len(PATTERNS)
    page.mouse.move(x, y)
    expect(heatmap.locator(".hoverlayer")).to_contain_text("95 % interval")
    page.mouse.click(x, y)


@pytest.mark.parametrize("across", [0.15, 0.5, 0.85])
def test_a_cell_leads_to_its_previews(page: Page, across: float) -> None:
    click_cell(page, row=2, column=1, across=across)
    expect(page.get_by_text("20 of 180 previews, newest first")).to_be_visible(timeout=30_000)
    for part in ("/previews", "pattern=syllogism", "min_length=50", "below_length=100"):
        assert part in page.url
    page.go_back()
    expect(page.get_by_text("Pattern by length")).to_be_visible(timeout=30_000)


def test_the_rows_of_a_chart_can_be_downloaded(page: Page) -> None:
    with page.expect_download() as download:
        page.locator(".st-key-card-heatmap").get_by_role("button", name="CSV").click()
    with download.value.path().open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9
    assert sum(int(row["count"]) for row in rows) == 180


def test_charts_have_descriptions(page: Page) -> None:
    expect(page.get_by_label("Exact match by pattern and golden answer length.")).to_have_count(1)


def test_a_filter_redraws_the_figures(page: Page) -> None:
    expect(page.get_by_text("180 scored previews")).to_be_visible()
    page.get_by_label("Pattern", exact=True).click()
    page.get_by_role("option", name="counting").click()
    expect(page.get_by_text("60 scored previews")).to_be_visible()


@pytest.mark.parametrize("path", ["analytics", "sql"])
def test_on_a_phone_nothing_is_wider_than_the_screen(
    browser: Browser, address: str, path: str
) -> None:
    with browser.new_context(viewport={"width": 390, "height": 844}) as context:
        page = context.new_page()
        page.goto(f"{address}/{path}")
        expected = "Pattern by length" if path == "analytics" else "Question (one SELECT)"
        expect(page.get_by_text(expected)).to_be_visible(timeout=60_000)
        main = page.get_by_test_id("stMain")
        assert main.evaluate("element => element.scrollWidth <= element.clientWidth")


def test_a_question_in_sql_is_answered_and_drawn(page: Page, address: str) -> None:
    page.goto(f"{address}/sql")
    question = page.get_by_role("textbox", name="Question (one SELECT)")
    question.fill("SELECT step, golden_tokens FROM previews ORDER BY step")
    question.press("Control+Enter")
    expect(page.get_by_text("180 rows in")).to_be_visible(timeout=30_000)
    page.get_by_role("tab", name="Chart").click()
    expect(page.get_by_test_id("stVegaLiteChart")).to_be_visible(timeout=30_000)
    question.fill("COPY previews TO 'stolen.csv'")
    question.press("Control+Enter")
    expect(page.get_by_text("COPY is refused")).to_be_visible()
