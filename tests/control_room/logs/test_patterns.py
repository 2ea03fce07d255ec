"""Which kind of task a preview belongs to, by rules."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_room.logs.patterns import PatternRule, PatternRules


def test_the_first_rule_that_matches_names_it() -> None:
    rules = PatternRules(
        [
            PatternRule("sums", datasets=("sum*",), prompts=(r"\+", "plus")),
            PatternRule("late", prompts=("late",), linear=True),
            PatternRule("rest", datasets=("*",)),
        ]
    )
    datasets = ["sums", None, None, "other", None, "other"]
    prompts = ["", "1 + 1", "late plus", "late", "nothing", "nothing"]
    found = ["sums", "sums", "sums", "late", "other", "rest"]
    assert rules.patterns_of(datasets, prompts) == found
    assert [*map(rules.pattern_of, datasets, prompts)] == found


@given(st.lists(st.text()), st.sampled_from(["a", "[0-9]+", "^x", "(?i)ä$", "a|b", ""]))
def test_an_expression_that_both_know_means_the_same_to_both(
    prompts: list[str], expression: str
) -> None:
    told = [
        PatternRules([PatternRule("met", prompts=(expression,), linear=linear)]).patterns_of(
            [None] * len(prompts), [prompt.rstrip("\n") for prompt in prompts]
        )
        for linear in (False, True)
    ]
    assert told[0] == told[1]


@pytest.mark.parametrize("expression", ["(a+)+$", "(x+x+)+y", "(a|aa)+$", "(.*a){20}b"])
def test_a_linear_one_takes_no_long_time(expression: str) -> None:
    rules = PatternRules([PatternRule("never", prompts=(expression,), linear=True)])
    began_s = time.process_time()
    rules.pattern_of(None, "a" * 20_000 + "!" + "x" * 20_000)
    assert time.process_time() - began_s < 10


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("expression", ["(", "[", "a" + "(" * 5000])
def test_what_is_no_expression_is_named(expression: str, linear: bool) -> None:
    with pytest.raises(ValueError, match=r"pattern 'p': .* is no regular expression"):
        PatternRule("p", prompts=(expression,), linear=linear)


def test_a_linear_one_that_only_pythons_engine_knows_is_refused() -> None:
    for expression in ("(?=x)", r"(a)\1"):
        PatternRule("p", prompts=(expression,))
        with pytest.raises(ValueError, match="is no regular expression"):
            PatternRule("p", prompts=(expression,), linear=True)
