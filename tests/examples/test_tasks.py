"""The generated tasks: the golden answer is right, and no held-out problem is ever trained on."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_room.judging.scoring import score
from examples.examiner import MAX_ANSWER_TOKENS
from examples.tasks import (
    MAX_LEVEL,
    PATTERNS,
    REGIMES,
    Example,
    Pattern,
    Problem,
    Regime,
    Split,
    addition,
    counting,
    draw,
    fixed_eval,
    logic_chain,
    split_of,
    syllogism,
)
from examples.tokens import Tokenizer

seeds = st.integers(0, 2**32)
splits: st.SearchStrategy[Split] = st.sampled_from(("train", "heldout"))
levels = st.integers(1, MAX_LEVEL)
patterns = st.sampled_from(PATTERNS)
regimes = st.sampled_from(REGIMES)


@given(seeds, levels)
def test_the_conclusion_of_a_syllogism_follows_from_its_premises(seed: int, level: int) -> None:
    problem = syllogism(random.Random(seed), level)
    name = re.findall(r"What follows for (\w+)\?", problem.question)[0]
    rules = {
        kind: (quantifier, what)
        for quantifier, kind, what in re.findall(r"(All|No) (\w+) are (\w+)\.", problem.question)
    }
    kinds = dict(re.findall(r"(\w+) is a (\w+)\.", problem.question))
    assert list(kinds).count(name) == 1
    plural = next(kind for kind in rules if _is_plural_of(kind, kinds[name]))
    quantifier, what = rules[plural]
    if what in rules:
        assert quantifier == "All"
        quantifier, what = rules[what]
    assert problem.answer == f"{name} is {'not ' if quantifier == 'No' else ''}{what}"


@given(seeds, levels)
def test_a_sum_is_the_sum(seed: int, level: int) -> None:
    problem = addition(random.Random(seed), level)
    terms, _ = problem.question.split(" = ")
    assert int(problem.answer) == sum(map(int, terms.split(" + ")))


@given(seeds)
def test_the_first_sums_have_no_carry(seed: int) -> None:
    terms, _ = addition(random.Random(seed), 1).question.split(" = ")
    assert sum(int(term) % 10 for term in terms.split(" + ")) < 10


@given(seeds, levels)
def test_a_count_is_the_count(seed: int, level: int) -> None:
    problem = counting(random.Random(seed), level)
    [(what, row)] = re.findall(r"Count the (.+) in: (.+)", problem.question)
    wanted = "aeiou" if what == "vowels" else what.removeprefix("letter ")
    assert int(problem.answer) == sum(letter in wanted for letter in row.split())


@given(seeds, levels)
def test_the_answer_about_a_chain_agrees_with_its_links(seed: int, level: int) -> None:
    problem = logic_chain(random.Random(seed), level)
    chain, ask = problem.question.split(". ", 1)
    below = dict(link.split(" > ") for link in chain.split(", "))
    (top,) = set(below) - set(below.values())
    order = [top]
    while order[-1] in below:
        order.append(below[order[-1]])
    assert len(order) == len(below) + 1
    if ask.startswith("Is "):
        first, second = re.findall(r"[A-Z]", ask[3:])
        expected = "yes" if order.index(first) < order.index(second) else "no"
    else:
        expected = {
            "Which is largest?": order[0],
            "Which is smallest?": order[-1],
            "Order them.": " > ".join(order),
        }[ask]
    assert problem.answer == expected


@given(seeds, patterns, levels, splits, regimes)
def test_an_example_belongs_to_its_split_whatever_its_regime(
    seed: int, pattern: Pattern, level: int, split: Split, regime: Regime
) -> None:
    example = draw(random.Random(seed), pattern, level, split, regime)
    assert split_of(Problem(example.prompt.split("\n\n")[0], "")) == split
    assert example.dataset_id.endswith(f"_{split}_l{level}")


@given(seeds, patterns, levels)
def test_no_held_out_problem_is_in_training(seed: int, pattern: Pattern, level: int) -> None:
    rng = random.Random(seed)
    trained = {_question(draw(rng, pattern, level, "train")) for _ in range(20)}
    held_out = {_question(draw(rng, pattern, level, "heldout")) for _ in range(20)}
    assert not trained & held_out


@given(seeds, patterns, levels, regimes)
def test_a_golden_answer_keeps_its_regimes_contract(
    seed: int, pattern: Pattern, level: int, regime: Regime
) -> None:
    example = draw(random.Random(seed), pattern, level, "train", regime)
    scored = score(example.golden, example.golden, example.regime)
    assert scored.exact_match
    assert scored.failure_mode is None
    assert all(scored.contract_status.values())
    assert bool(scored.contract_status) == (regime != "plain_sft")


@settings(max_examples=200)
@given(seeds, patterns, levels)
def test_every_example_can_be_tokenized_and_answered(
    seed: int, pattern: Pattern, level: int
) -> None:
    example = draw(random.Random(seed), pattern, level, "train")
    tokenizer = Tokenizer()
    for text in (example.prompt, example.golden):
        ids = tokenizer.encode(text)
        assert tokenizer.unknown_id not in ids
        assert tokenizer.decode(ids) == text
    assert len(tokenizer.encode(example.golden)) < MAX_ANSWER_TOKENS


def test_the_same_seed_draws_the_same_examples() -> None:
    def drawn(seed: int) -> list[Example]:
        rng = random.Random(seed)
        return [draw(rng, pattern, 3, "train") for pattern in PATTERNS]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_the_fixed_evaluation_covers_every_pattern_level_and_regime() -> None:
    examples = fixed_eval(0)
    assert examples == fixed_eval(0)
    assert {(each.pattern, each.level) for each in examples} == {
        (pattern, level) for pattern in PATTERNS for level in range(1, MAX_LEVEL + 1)
    }
    regimes_used = Counter(each.regime for each in examples)
    assert set(regimes_used) == set(REGIMES)
    assert min(regimes_used.values()) >= len(examples) // 4
    assert all("_heldout_" in each.dataset_id for each in examples)


@pytest.mark.parametrize("level", [0, MAX_LEVEL + 1])
def test_a_level_that_does_not_exist_is_refused(level: int) -> None:
    with pytest.raises(ValueError, match="level"):
        draw(random.Random(0), "addition", level, "train")


def test_lengths_reach_every_bin_of_the_heatmap() -> None:
    rng = random.Random(0)
    tokenizer = Tokenizer()
    lengths = [
        len(tokenizer.encode(draw(rng, pattern, level, "train").prompt))
        for pattern in PATTERNS
        for level in range(1, MAX_LEVEL + 1)
        for _ in range(10)
    ]
    assert min(lengths) < 50
    assert any(50 <= length < 100 for length in lengths)
    assert max(lengths) >= 100


def _question(example: Example) -> str:
    return example.prompt.split("\n\n")[0]


def _is_plural_of(plural: str, singular: str) -> bool:
    return plural in (f"{singular}s", f"{singular}es") or (plural, singular) == ("men", "man")
