"""The SQL page as Streamlit runs it, without a browser."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.watch.monitor import Monitor
from tests.pages.opened import html, open_page


def ask(page: AppTest, text: str) -> AppTest:
    page.text_area(key="sql-text").set_value(text)
    page.button[0].click().run()
    assert not page.exception
    return page


def test_before_anything_is_logged_it_says_so(watching: Monitor) -> None:
    assert "Nothing has been logged" in open_page("sql").info[0].value


def test_a_question_is_answered_as_a_table(history: Monitor) -> None:
    page = ask(open_page("sql"), "SELECT regime, count(*) AS n FROM previews GROUP BY 1 ORDER BY 1")
    assert page.dataframe[0].value.to_dict("list") == {
        "regime": ["plain_sft", "regime3"],
        "n": [104, 26],
    }
    assert "2 rows in" in html(page)


def test_the_schema_stands_beside_it(history: Monitor) -> None:
    shown = html(open_page("sql"))
    assert "failure_mode" in shown
    assert "previews" in shown


def test_every_example_is_answered(history: Monitor) -> None:
    page = open_page("sql")
    for example in page.pills(key="sql-example").options:
        page.pills(key="sql-example").select(example).run()
        assert not page.exception
        assert not page.error, (example, page.error[0].value)


@pytest.mark.parametrize("text", ["DROP TABLE previews", "SELECT nonsense FROM previews", "x"])
def test_what_is_refused_is_explained(history: Monitor, text: str) -> None:
    assert ask(open_page("sql"), text).error[0].value


def test_a_cut_answer_says_so(history: Monitor) -> None:
    page = ask(open_page("sql"), "FROM range(100_000)")
    assert "The first 10,000 rows" in html(page)


def test_a_value_that_python_does_not_know_is_shown_and_downloaded(history: Monitor) -> None:
    page = ask(open_page("sql"), "SELECT 'infinity'::DATE AS a, INTERVAL 1 MONTH AS b, 1 AS a")
    assert page.dataframe[0].value.iloc[0].tolist() == ["infinity", "1 month", 1]


def test_a_question_for_too_much_memory_is_told_in_words(history: Monitor) -> None:
    page = ask(open_page("sql"), "SELECT repeat('x', 2000000000)")
    assert "memory" in page.error[0].value
    page = ask(page, "SELECT count(*) AS n FROM previews")
    assert page.dataframe[0].value.to_dict("list") == {"n": [130]}
