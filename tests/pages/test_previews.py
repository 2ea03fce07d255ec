"""The previews page as Streamlit runs it, without a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.settings import load_settings
from app.ui.current import serving
from app.watch.monitor import Monitor
from control_room import Recorder
from tests.pages.opened import html, open_page, warnings
from tests.support import wait_until


def test_before_anything_is_logged_it_says_so(watching: Monitor) -> None:
    assert "Nothing has been logged" in open_page("previews").info[0].value


def test_a_page_shows_the_newest_previews_and_how_many_there_are(history: Monitor) -> None:
    page = open_page("previews")
    assert "130 previews, newest first: 1-100" in html(page)
    shown = page.dataframe[0].value
    assert len(shown) == 100
    assert list(shown["Step"][:3]) == [129, 128, 127]


def test_the_address_sets_the_filter_and_garbage_in_it_is_named(history: Monitor) -> None:
    page = open_page("previews", regime="regime3", exact_match="true", page="banana")
    assert "13 of 130 previews, newest first: 1-13" in html(page)
    assert set(page.dataframe[0].value["Regime"]) == {"regime3"}
    assert "page=banana in the address is ignored" in warnings(page)[0]


def test_choosing_a_filter_puts_it_into_the_address(history: Monitor) -> None:
    page = open_page("previews")
    page.selectbox(key="previews-regime").select("regime3").run()
    assert "26 of 130 previews, newest first: 1-26" in html(page)
    assert page.query_params["regime"] in ("regime3", ["regime3"])
    page.text_input(key="previews-text").set_value("PROMPT 10").run()
    assert list(page.dataframe[0].value["Step"]) == [105, 100, 10]


def test_nothing_that_matches_is_said_so(history: Monitor) -> None:
    page = open_page("previews", text="nowhere to be found")
    assert "No preview matches" in page.info[0].value


def test_a_preview_without_an_answer_says_why_in_the_table(history: Monitor) -> None:
    with Recorder(history.settings.run_dir) as recorder:
        texts: dict[str, Any] = {"prompt": "p", "golden": "g", "model_answer": ""}
        recorder.log_preview(step=500, **texts, error="HTTP 503 from box:8000")
        recorder.log_preview(step=501, **texts, exact_match=False, finish_reason="length")

    def shown() -> list[str]:
        return list(open_page("previews").dataframe[0].value["Failure mode"][:3])

    expected = ["empty: length", "no answer: HTTP 503 from box:8000", "wrong content"]
    wait_until(lambda: shown() == expected, 30, "both in the table")


def test_a_page_can_be_shared_and_one_beyond_the_last_is_the_last(history: Monitor) -> None:
    assert "130 previews, newest first: 101-130" in html(open_page("previews", page="2"))
    assert "130 previews, newest first: 101-130" in html(open_page("previews", page="99"))


def test_steps_lengths_and_times_narrow_the_table(history: Monitor) -> None:
    assert "11 of 130" in html(open_page("previews", min_step="10", max_step="20"))
    assert "50 of 130" in html(open_page("previews", min_length="50", below_length="100"))
    assert "130 previews" in html(open_page("previews", since="2000-01-01"))
    assert "0 of 130" in html(open_page("previews", until="2000-01-01"))


def test_a_filter_that_was_typed_wrong_is_named_and_left_out(history: Monitor) -> None:
    page = open_page("previews")
    page.text_input(key="previews-min_step").set_value("ten").run()
    assert "min_step=ten is ignored" in warnings(page)[0]
    assert "130 previews" in html(page)


def test_downloads_ask_for_what_is_shown(history: Monitor) -> None:
    assert "api/preview/history.csv?regime=regime3" in html(open_page("previews", regime="regime3"))


def test_lines_that_were_left_out_are_named(history: Monitor) -> None:
    (log,) = (history.settings.run_dir / "logs" / "preview").glob("*.jsonl")
    with log.open("ab") as file:
        file.write(b"garbage\n")

    def shown() -> str:
        return html(open_page("previews"))

    wait_until(lambda: f"{log.name}: 1 lines cannot be read" in shown(), 20, "the note")


def test_a_history_that_cannot_be_kept_on_disk_says_so(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    with Recorder(run_dir) as recorder:
        recorder.log_preview(step=1, prompt="p", golden="g", model_answer="a")
    (run_dir / ".control_room").write_text("a file where the cache should be")
    started = Monitor(load_settings({"run_dir": str(run_dir)}))
    started.start()
    with serving(started):
        open_page("previews")
        wait_until(lambda: bool(started.views.preview.history_problems), 20, "the note")
        assert "held in memory" in warnings(open_page("previews"))[0]
    started.stop()
