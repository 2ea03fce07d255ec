"""Texts that freeze a browser, or pretend to be others: bounded, and with nothing hidden."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from app.cards import kit
from app.text.html import text as as_html
from app.text.visible import (
    LINE_CHARS,
    MOST_MARKS,
    TEXT_CHARS,
    cell,
    pieces,
    shown,
    visible,
    visible_chunks,
)
from control_room import Recorder
from tests.security.long_previews import write_log
from tests.support import ROOT, serving_app, wait_until

WORK_S = 15.0  # of a tab; these texts took minutes
ZALGO = "Z" + "\u0301\u0316\u0334" * 100_000
OVERRIDES = "\u202e\u2066abc\u202d\u2067" * 50_000

NORMAL = (
    "plain text,\n\twith a tab",
    "👩\u200d👩\u200d👧 and ❤\ufe0f and 🏳\ufe0f\u200d🌈 and 👍🏽",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "می\u200cخواهم به خانه بروم",
    "שָׁלוֹם\u200f עולם, בְּרֵאשִׁית",
    "अनुच्छेद क्\u200dष और क\u094d\u200c",
    "தமிழ் ภาษาไทย ខ្មែរ",
    "Việt Nam, e\u0301té, Z\u0301\u0316",
    "漢字\ufe00かな",
    "…—“quotes” · → ✓",
)


@pytest.mark.parametrize("text", NORMAL)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\x1b[31mred\x00", "␛[31mred␀"),
        ("a\rb\r\nc\x7f", "a␍b\nc␡"),
        ("\x85\x9b", "⟨U+0085⟩⟨U+009B⟩"),
        ("user\u202etxt.exe\u2069", "user⟨U+202E⟩txt.exe⟨U+2069⟩"),
        ("pay\u200bpal\ufeff", "pay⟨U+200B⟩pal⟨U+FEFF⟩"),
        ("pass\u200dword", "pass⟨U+200D⟩word"),
        ("a\u200c\u200d\u200cb", "a⟨U+200C⟩⟨U+200D⟩⟨U+200C⟩b"),
        ("Z" + "\u0301" * 300, "Z" + "\u0301" * MOST_MARKS + "⟨292 more marks⟩"),
        ("a" + "\U000e0041" * 3, "a" + "⟨U+E0041⟩" * 3),
        ("a" + "\U000e0041" * 900, "a⟨U+E0041⟩⟨899 more⟩"),
        ("❤" + "\ufe0f" * 40, "❤⟨U+FE0F⟩⟨39 more⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("x\u2028y", "x⟨U+2028⟩y"),
    ],
)
def test_what_hides_is_written_out(text: str, told: str) -> None:
    assert visible(text) == told


def test_a_long_text_is_cut_and_says_so() -> None:
    told = shown("x" * 300_000)
    assert told.startswith("x" * TEXT_CHARS + "…")
    assert "20,000 of 300,000 characters" in told
    assert len(cell("x" * 300_000)) < 600
    assert len(shown(ZALGO)) < 200
    assert shown(OVERRIDES).count("⟨U+202E⟩") > 1_000
    assert "\u202e" not in shown(OVERRIDES)


def test_pieces_are_shown_as_the_whole_is() -> None:
    data = ("é🛑\x1b" * 50).encode()
    pieces = (data[place : place + 5] for place in range(0, len(data), 5))
    assert b"".join(visible_chunks(pieces)).decode() == visible("é🛑\x1b" * 50)


def test_the_plain_view_ends_long_lines() -> None:
    pieces = iter([b"x" * 700, b"x" * 700 + b"\nshort\n" + b"y" * 2_500])
    lines = b"".join(visible_chunks(pieces)).decode().split("\n")
    assert [len(line) for line in lines] == [LINE_CHARS, 400, 5, LINE_CHARS, LINE_CHARS, 500]


def test_what_is_written_from_the_right_keeps_to_its_place() -> None:
    assert as_html("שלום <b>") == "<bdi>שלום &lt;b&gt;</bdi>"
    assert as_html("left") == "left"
    assert "<bdi>" in kit.chip("שלום")
    assert "\u202e" not in kit.chip("a\u202eb") + kit.note("a\u202eb") + kit.heading("a\u202eb")


def test_every_text_goes_through_the_one_function() -> None:
    """Cards and pages escape nothing on their own."""
    for path in (*(ROOT / "app" / "cards").glob("*.py"), *(ROOT / "pages").glob("*.py")):
        if path.name != "kit.py":
            assert "escape" not in path.read_text(), path


def test_a_long_line_of_joined_letters_may_end_in_many_places() -> None:
    text = "e" * 999 + "e\u0301" + "ض" * 2_500
    parts = pieces(text)
    assert "".join(parts) == text
    assert parts[1][0] == "ض" and max(map(len, parts)) <= LINE_CHARS + 1
    assert as_html(text).count("<wbr>") == len(parts) - 1 == 3
    assert "<wbr>" not in as_html("x" * 5_000), "these do not join"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("long-texts")
    odd: list[dict[str, Any]] = [
        dict.fromkeys(("prompt", "golden", "model_answer", "error", "regime"), text)
        for text in (ZALGO, OVERRIDES, "ض" * 300_000, "x" * 300_000)
    ]
    write_log(directory / "run", odd)
    with Recorder(directory / "run") as recorder:
        recorder.update_status(current_step=3, loss=0.5, model_name=ZALGO[:100_000])
        recorder.note(OVERRIDES)
    with serving_app(directory / "run", directory / "app.log") as address:

        def is_read() -> bool:
            page = httpx.get(f"{address}/api/preview/history?limit=1&fields=step", timeout=60)
            return page.status_code == 200 and page.json()["total"] == len(odd)

        wait_until(is_read, 60, "the history")
        yield address


def tabs_cpu_s() -> dict[int, float]:
    """The processor time that each tab's process has taken, by its number."""
    taken = {}
    for each in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "--type=renderer" in each.cmdline():
                taken[each.pid] = sum(each.cpu_times()[:2])
    return taken


@contextmanager
def a_tab(browser: Browser) -> Iterator[Page]:
    """A page that has to answer at the end, and has kept the processor busy for a short time only.

    A clock on the wall would tell of the machine's other work.
    """
    before = tabs_cpu_s()
    page = browser.new_page()
    yield page
    page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)))")
    work_s = sum(cpu_s - before.get(pid, 0) for pid, cpu_s in tabs_cpu_s().items())
    page.close()
    assert work_s < WORK_S


def test_the_live_page_answers(browser: Browser, served: str) -> None:
    with a_tab(browser) as page:
        page.goto(served)
        expect(page.get_by_text("Golden answer")).to_be_visible()


@pytest.mark.parametrize("row", range(4))
def test_a_preview_that_is_read_leaves_the_tab_answering(
    browser: Browser, served: str, row: int
) -> None:
    with a_tab(browser) as page:
        page.goto(f"{served}/previews")
        table = page.get_by_test_id("stDataFrame")
        expect(table).to_be_visible()
        table.click(position={"x": 120, "y": 35 * (row + 1) + 18})
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("heading", name="Golden answer")).to_be_visible()
        expect(dialog.get_by_role("link", name="show all").first).to_be_visible()


@pytest.mark.parametrize("step", range(4))
def test_the_plain_view_of_a_whole_text_answers(browser: Browser, served: str, step: int) -> None:
    query = f"{served}/api/preview/history?min_step={step}&max_step={step}"
    row = httpx.get(query, timeout=60).json()["previews"][0]
    with a_tab(browser) as page:
        page.goto(f"{served}/api/preview/{row['id']}/prompt?visible=1")
        assert json.loads(page.evaluate("JSON.stringify(document.contentType)")) == "text/plain"
