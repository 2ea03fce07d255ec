"""Other ideas of "right" than the same text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_room.scorers import (
    json_equal,
    last_line,
    multiple_choice,
    numeric,
    regex,
    score_with,
    scorer_of,
)


@pytest.mark.parametrize(
    ("golden", "answer", "right"),
    [
        ('{"a": 1, "b": [true]}', '{"b":[true],"a":1.0}', True),
        ('{"a": 1}', 'Here:\n```json\n{"a": 1}\n```', True),
        ('{"a": true}', '{"a": 1}', False),
        ("3", "3.0", True),
        ('{"a": 1}', "no json", False),
        ("[" * 100_000, "[" * 100_000, False),
    ],
)
def test_json(golden: str, answer: str, right: bool) -> None:
    assert json_equal(golden, answer) is right


@pytest.mark.parametrize(
    ("golden", "answer", "right"),
    [
        ("42", "First 40, then 2 more: 42.", True),
        ("1,234.50", "1234.5", True),
        ("-3", "it is −3", True),
        ("0.333333", "1/3 is 0.3333333", True),
        ("1e6", "1000000", True),
        ("5", "no number", False),
        ("5", "6", False),
    ],
)
def test_numbers(golden: str, answer: str, right: bool) -> None:
    assert numeric(golden, answer) is right


def test_a_tolerance_is_relative_and_absolute_below_one() -> None:
    assert numeric("100", "100.9", tolerance=0.01)
    assert not numeric("100", "102", tolerance=0.01)
    assert numeric("0", "0.009", tolerance=0.01)


@pytest.mark.parametrize(
    ("golden", "answer", "right"),
    [
        ("Paris", "Let me think.\n\n  paris \n", True),
        ("a\nParis", "b\nParis", True),
        ("Paris", "Paris\nor Rome", False),
        ("", "", False),
    ],
)
def test_last_lines(golden: str, answer: str, right: bool) -> None:
    assert last_line(golden, answer) is right


def test_a_capture_is_the_last_one() -> None:
    pattern = r"#### (\d+)"
    assert regex("work #### 7", "#### 6 no, #### 7", pattern=pattern)
    assert regex("7", "#### 7", pattern=pattern), "a golden answer may be the capture itself"
    assert not regex("7", "7", pattern=pattern)


@pytest.mark.parametrize(
    ("golden", "answer", "right"),
    [
        ("B", "The answer is (B).", True),
        ("b)", "B", True),
        ("(C)", "A is wrong, B is wrong. Answer: C", True),
        ("C", "I choose C because A bird sings", False),  # nothing announced: the last alone is A
        ("D", "none", False),
        ("", "A", False),
    ],
)
def test_choices(golden: str, answer: str, right: bool) -> None:
    assert multiple_choice(golden, answer) is right


@given(st.text(), st.text())
def test_no_text_breaks_a_scorer(golden: str, answer: str) -> None:
    for scorer in (json_equal, numeric, last_line, multiple_choice):
        assert scorer(golden, answer) in (True, False)


@pytest.mark.parametrize(
    "name", ["numeric", "control_room.scorers.numeric", "control_room.scorers:numeric"]
)
def test_a_name_is_loaded_with_its_options(name: str) -> None:
    scorer = scorer_of(name, {"tolerance": 0.5})
    assert scorer("2", "2.4")


def test_a_function_of_ones_own_is_named_with_its_module() -> None:
    assert scorer_of("operator:eq")("a", "a")


@pytest.mark.parametrize("text", [" " * 200_000, "*" * 200_000, "answer" * 30_000])
def test_a_long_text_takes_no_long_time(text: str) -> None:
    began_s = time.process_time()
    multiple_choice("A", f"answer{text}1")
    assert time.process_time() - began_s < 5


@pytest.mark.parametrize(
    ("name", "options", "word"),
    [
        ("nothing", {}, "none of json_equal, numeric"),
        (":nothing", {}, "nor module:function"),
        ("no.such.module", {}, "cannot be loaded"),
        ("no.such.module:function", {}, "cannot be loaded"),
        ("control_room.scorers:nothing", {}, "cannot be loaded"),
        ("control_room.scorers.nothing", {}, "cannot be loaded"),
        ("control_room.scorers.__doc__", {}, "no function"),
        ("control_room.scorers.numeric", {"precision": 1}, "options"),
        ("control_room.scorers.regex", {}, "options"),
        ("numeric", {"tolerance": "much"}, "options"),
        ("regex", {"pattern": "("}, "options"),
    ],
)
def test_a_scorer_that_cannot_be_used_is_named(
    name: str, options: dict[str, object], word: str
) -> None:
    with pytest.raises(ValueError, match=word):
        scorer_of(name, options)


def test_a_scorer_decides_what_is_exact_and_the_contract_stays() -> None:
    right = score_with(numeric, "4", "<<ANS_START>>It is 4<<ANS_END>>", "regime3")
    assert (right.exact_match, right.failure_mode) == (True, None)
    bare = score_with(numeric, "4", "It is 4", "regime3")
    assert (bare.exact_match, bare.failure_mode) == (True, "contract_violation")
    wrong = score_with(numeric, "4", "5")
    assert (wrong.exact_match, wrong.failure_mode) == (False, "wrong_content")
    strict = score_with(lambda golden, answer: False, "4", "4")
    assert (strict.exact_match, strict.failure_mode) == (False, "wrong_content")


def test_no_scorer_is_asked_about_an_error_of_the_server() -> None:
    for answer, failed in (("Error: 4 workers died", False), ("4", True)):
        found = score_with(numeric, "4", answer, server_failed=failed)
        assert (found.exact_match, found.failure_mode) == (None, "server_error")
        assert found.error is not None
