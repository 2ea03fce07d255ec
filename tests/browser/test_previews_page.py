"""The previews page in a real browser: filter, open, go on, share."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

import pyarrow.parquet
import pytest
from playwright.sync_api import Browser, Page, expect

from control_room import Recorder
from tests.support import serving_app

pytestmark = pytest.mark.browser

ROW_HEIGHT = 35


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("previews")
    with Recorder(directory / "run") as recorder:
        for step in range(150):
            recorder.log_preview(
                step=step,
                prompt=f"What is {step} + 1?",
                golden=str(step + 1),
                golden_tokens=10 if step < 100 else 60,
                pattern="addition" if step % 2 else "counting",
                model_answer=str(step + 1 if step % 3 else step),
                exact_match=step % 3 != 0,
                example_id=f"add_{step % 10}",
                regime="regime3" if step % 2 else "plain_sft",
            )
    with serving_app(directory / "run", directory / "app.log") as served:
        yield served


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        opened = context.new_page()
        opened.goto(f"{address}/previews")
        expect(opened.get_by_text("150 previews, newest first")).to_be_visible(timeout=60_000)
        yield opened


def open_first_row(page: Page) -> None:
    # While a page is drawn anew, the table of the one before stands beside it.
    app = page.get_by_test_id("stApp")
    expect(app).to_have_attribute("data-test-script-state", "notRunning")
    table = page.get_by_test_id("stDataFrame")
    expect(table).to_have_count(1)
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 1.5 * ROW_HEIGHT)
    expect(page.get_by_role("dialog")).to_be_visible()


def test_a_filter_narrows_the_table_and_its_address_can_be_shared(
    page: Page, browser: Browser
) -> None:
    page.get_by_label("Exact match", exact=True).click()
    page.get_by_role("option", name="No", exact=True).click()
    expect(page.get_by_text("50 of 150 previews, newest first")).to_be_visible()
    expect(page).to_have_url(re.compile("exact_match=false"))
    with browser.new_context() as elsewhere:
        shared = elsewhere.new_page()
        shared.goto(page.url)
        expect(shared.get_by_text("50 of 150 previews")).to_be_visible(timeout=30_000)


def test_a_row_opens_and_its_neighbours_follow(page: Page) -> None:
    open_first_row(page)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("What is 149 + 1?")
    expect(dialog).to_contain_text("The same example, over time")
    dialog.get_by_role("button", name="Older").click()
    expect(dialog).to_contain_text("What is 148 + 1?")
    dialog.get_by_role("button", name="Newer").click()
    expect(dialog).to_contain_text("What is 149 + 1?")


def test_the_next_page_goes_on_where_the_first_ended(page: Page) -> None:
    page.get_by_test_id("stPagination").get_by_text("2", exact=True).click()
    expect(page.get_by_text("150 previews, newest first: 101-150")).to_be_visible()
    open_first_row(page)
    expect(page.get_by_role("dialog")).to_contain_text("What is 49 + 1?")


def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Browser, address: str) -> None:
    with browser.new_context(viewport={"width": 390, "height": 844}) as context:
        page = context.new_page()
        page.goto(f"{address}/previews")
        expect(page.get_by_text("150 previews, newest first")).to_be_visible(timeout=60_000)
        main = page.get_by_test_id("stMain")
        assert main.evaluate("element => element.scrollWidth <= element.clientWidth")


def test_the_address_of_a_page_can_be_shared_too(page: Page, browser: Browser) -> None:
    page.get_by_test_id("stPagination").get_by_text("2", exact=True).click()
    expect(page.get_by_text("150 previews, newest first: 101-150")).to_be_visible()
    expect(page).to_have_url(re.compile("page=2"))
    page.reload()
    expect(page.get_by_text("150 previews, newest first: 101-150")).to_be_visible(timeout=30_000)


def test_a_filter_leads_back_to_the_first_page(page: Page) -> None:
    page.get_by_test_id("stPagination").get_by_text("2", exact=True).click()
    expect(page.get_by_text("101-150")).to_be_visible()
    page.get_by_label("Text in prompt or answers").fill("is 14")
    page.keyboard.press("Enter")
    expect(page.get_by_text("11 of 150 previews, newest first: 1-11")).to_be_visible()


def test_all_rows_that_match_can_be_downloaded(page: Page) -> None:
    page.get_by_label("Exact match", exact=True).click()
    page.get_by_role("option", name="Yes").click()
    expect(page.get_by_text("100 of 150 previews")).to_be_visible()
    with page.expect_download() as csv_download:
        page.get_by_role("link", name="CSV").click()
    with csv_download.value.path().open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 100
    assert {row["exact_match"] for row in rows} == {"true"}
    assert csv_download.value.suggested_filename == "previews.csv"
    with page.expect_download() as parquet_download:
        page.get_by_role("link", name="Parquet").click()
    assert pyarrow.parquet.read_table(parquet_download.value.path()).num_rows == 100
