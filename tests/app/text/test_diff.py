"""The word-level difference between golden and answer."""

from __future__ import annotations

import re
import time
from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from app.text.diff import MAX_WORDS, word_diff
from app.text.visible import shown


def plain(html: str) -> str:
    return unescape(re.sub(r"</?(?:ins|del)>", "", html))


def test_what_is_missing_and_what_is_added_are_marked() -> None:
    diff = word_diff("Socrates is mortal", "Socrates is a man")
    assert diff.golden_html == "Socrates is <del>mortal</del>"
    assert "<ins>" in diff.answer_html
    assert diff.compared


def test_equal_texts_carry_no_mark() -> None:
    diff = word_diff("42", "42")
    assert (diff.golden_html, diff.answer_html) == ("42", "42")


def test_texts_are_escaped() -> None:
    diff = word_diff("<b>", "<script>alert(1)</script>")
    assert "<script" not in diff.answer_html
    assert "<b>" not in diff.golden_html


def test_texts_too_long_to_compare_are_shown_unmarked_and_say_so() -> None:
    long = "word " * MAX_WORDS
    diff = word_diff("short", long)
    assert not diff.compared
    assert diff.answer_html == long
    assert word_diff(long, long).compared


def test_white_space_that_differs_is_marked() -> None:
    diff = word_diff("a b", "a  b\n")
    assert (diff.golden_html, diff.answer_html) == (
        "a<del> </del>b",
        "a<ins>  </ins>b<ins>\n</ins>",
    )


def test_texts_that_repeat_themselves_cost_no_more_than_others() -> None:
    golden, answer = "word " * (MAX_WORDS - 1), "word wird " * (MAX_WORDS // 2 - 1)
    began = time.process_time()
    diff = word_diff(golden, answer)
    assert time.process_time() - began < 4  # 8 s without a bound
    assert not diff.compared
    assert (diff.golden_html, diff.answer_html) == (golden, answer)


def test_ordinary_texts_of_as_many_words_are_compared() -> None:
    words = [f"w{n % 211}" for n in range(MAX_WORDS - 1)]
    other = [f"v{n}" if n % 5 == 0 else word for n, word in enumerate(words)]
    assert word_diff(" ".join(words), " ".join(other)).compared


@given(st.text(max_size=80), st.text(max_size=80))
def test_marks_aside_both_texts_are_kept_whole(golden: str, answer: str) -> None:
    diff = word_diff(golden, answer)
    assert plain(diff.golden_html) == shown(golden)
    assert plain(diff.answer_html) == shown(answer)
