"""Generated training examples: four patterns, five levels, three regimes.

Everything is drawn from a ``random.Random`` that the caller seeds. Which split a problem belongs
to depends on the problem alone, so that no held-out problem is ever trained on, under any regime.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from typing import Literal

Pattern = Literal["syllogism", "addition", "counting", "logic_chain"]
Regime = Literal["emoji_think", "regime3", "plain_sft"]
Split = Literal["train", "heldout"]

PATTERNS: tuple[Pattern, ...] = ("syllogism", "addition", "counting", "logic_chain")
REGIMES: tuple[Regime, ...] = ("emoji_think", "regime3", "plain_sft")
MAX_LEVEL = 5

THINK_EMOJI = ("🤔", "💭", "🧠", "💡", "🎯", "🔍", "🤨", "🧐", "⚡", "✨")
STOP_EMOJI = ("🛑", "⛔", "🚫", "❌", "🔴", "⏹️", "🔚", "✋", "🚦", "🛡️")
ANSWER_START = "<<ANS_START>>"
ANSWER_END = "<<ANS_END>>"

_HELDOUT_SHARE = 8  # one problem in so many is held out
_COUNT_WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}
_PREFIXES: Mapping[Pattern, str] = {
    "syllogism": "syllo",
    "addition": "add",
    "counting": "count",
    "logic_chain": "chain",
}

_KINDS = (
    ("man", "men"), ("dog", "dogs"), ("cat", "cats"), ("bird", "birds"), ("poet", "poets"),
    ("robot", "robots"), ("king", "kings"), ("sailor", "sailors"), ("baker", "bakers"),
    ("fox", "foxes"), ("horse", "horses"), ("wizard", "wizards"), ("judge", "judges"),
    ("doctor", "doctors"), ("painter", "painters"), ("pirate", "pirates"), ("farmer", "farmers"),
    ("giant", "giants"), ("singer", "singers"), ("teacher", "teachers"), ("monk", "monks"),
    ("dragon", "dragons"), ("whale", "whales"), ("pilot", "pilots"),
)  # fmt: skip
_PROPERTIES = (
    "mortal", "wise", "brave", "calm", "clever", "fast", "gentle", "happy", "honest", "kind",
    "loud", "noble", "patient", "proud", "quiet", "rich", "shy", "strong", "tall", "tired",
    "warm", "wild", "young", "curious",
)  # fmt: skip
_NAMES = (
    "Socrates", "Plato", "Hypatia", "Ada", "Alan", "Grace", "Emmy", "Euler", "Gauss", "Kurt",
    "Noam", "Rosa", "Maria", "Pablo", "Ravi", "Mei", "Yuki", "Omar", "Leila", "Ivan", "Olga",
    "Hugo", "Nina", "Otto", "Frida", "Igor", "Clara", "Bruno", "Alma", "Felix", "Greta", "Lars",
)  # fmt: skip
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_VOWELS = "aeiou"


@dataclass(frozen=True, slots=True)
class Problem:
    """A question and its bare answer, before a regime wraps them."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One line of a data file."""

    example_id: str
    dataset_id: str
    pattern: Pattern
    level: int
    regime: Regime
    prompt: str
    golden: str


def lexicon() -> tuple[str, ...]:
    """Every word that prompts and answers are made of, for the tokenizer."""
    phrases = (
        "All No are is a not What follows for Count the letter vowels in Which largest smallest"
        " Is Order them yes no Think with times Stop Answer between and"
    )
    nouns = [word for kind in _KINDS for word in kind]
    return (*phrases.split(), *nouns, *_PROPERTIES, *_NAMES, *_COUNT_WORDS.values())


def syllogism(rng: random.Random, level: int) -> Problem:
    """Rules about kinds and facts about names; the answer may need two rules."""
    rule_count = (1, 2, 4, 8, 16)[level - 1]
    kinds = rng.sample(_KINDS, rule_count)
    properties = rng.sample(_PROPERTIES, rule_count)
    names = rng.sample(_NAMES, max(1, rule_count // 2))
    denied = [level > 1 and rng.random() < 0.3 for _ in kinds]
    premises = [
        f"{'No' if no else 'All'} {plural} are {prop}."
        for (_, plural), prop, no in zip(kinds, properties, denied, strict=True)
    ]
    target = rng.randrange(rule_count)
    conclusion = f"{names[0]} is {'not ' if denied[target] else ''}{properties[target]}"
    named_kind = kinds[target]
    if level > 2 and rng.random() < 0.5:
        # The name's own kind has no property: it has that of the kind it belongs to.
        named_kind = rng.choice([kind for kind in _KINDS if kind not in kinds])
        premises.append(f"All {named_kind[1]} are {kinds[target][1]}.")
    facts = [f"{names[0]} is a {named_kind[0]}."]
    facts += [f"{name} is a {rng.choice(kinds)[0]}." for name in names[1:]]
    if level > 1:
        rng.shuffle(premises)
        rng.shuffle(facts)
    question = " ".join([*premises, *facts, f"What follows for {names[0]}?"])
    return Problem(question, conclusion)


def addition(rng: random.Random, level: int) -> Problem:
    """Sums: two numbers without a carry first, then with one, then longer and more of them."""
    if level == 1:
        tens, ones = rng.randint(1, 8), rng.randint(0, 9)
        more_tens, more_ones = rng.randint(1, 9 - tens), rng.randint(0, 9 - ones)
        numbers = [10 * tens + ones, 10 * more_tens + more_ones]
    else:
        terms, low, high = ((2, 10, 99), (2, 10, 499), (3, 1, 99), (6, 1, 99))[level - 2]
        numbers = [rng.randint(low, high) for _ in range(terms)]
    return Problem(f"{' + '.join(map(str, numbers))} = ?", str(sum(numbers)))


def counting(rng: random.Random, level: int) -> Problem:
    """How many vowels, or from level 3 on how many of one letter, are in a row of letters."""
    shortest, longest = ((2, 5), (5, 10), (11, 20), (24, 48), (60, 110))[level - 1]
    length = rng.randint(shortest, longest)
    if level < 3 or rng.random() < 0.5:
        wanted, what = _VOWELS, "vowels"
    else:
        wanted = rng.choice(_LETTERS)
        what = f"letter {wanted}"
    share = rng.uniform(0.1, 0.7)
    row = [rng.choice(wanted if rng.random() < share else _LETTERS) for _ in range(length)]
    count = sum(letter in wanted for letter in row)
    return Problem(f"Count the {what} in: {' '.join(row)}", str(count))


def logic_chain(rng: random.Random, level: int) -> Problem:
    """A chain of comparisons, in random order from level 2 on, and a question about it."""
    shortest, longest = ((3, 4), (3, 5), (5, 7), (8, 14), (16, 24))[level - 1]
    items = rng.sample(_LETTERS.upper(), rng.randint(shortest, longest))
    links = [f"{big} > {small}" for big, small in pairwise(items)]
    if level > 1:
        rng.shuffle(links)
    asked = rng.random()
    if level > 1 and asked < 0.25:
        ask, answer = "Order them.", " > ".join(items)
    elif level > 2 and asked < 0.5:
        first, second = rng.sample(range(len(items)), 2)
        ask = f"Is {items[first]} > {items[second]}?"
        answer = "yes" if first < second else "no"
    elif asked < 0.75:
        ask, answer = "Which is largest?", items[0]
    else:
        ask, answer = "Which is smallest?", items[-1]
    return Problem(f"{', '.join(links)}. {ask}", answer)


_GENERATORS: Mapping[Pattern, Callable[[random.Random, int], Problem]] = {
    "syllogism": syllogism,
    "addition": addition,
    "counting": counting,
    "logic_chain": logic_chain,
}


def split_of(problem: Problem) -> Split:
    """The split that this problem belongs to, whichever seed drew it."""
    held_out = zlib.crc32(problem.question.encode()) % _HELDOUT_SHARE == 0
    return "heldout" if held_out else "train"


def wrap(problem: Problem, regime: Regime, rng: random.Random) -> tuple[str, str]:
    """Prompt and golden answer under a regime's contract."""
    if regime == "emoji_think":
        think, stop = rng.choice(THINK_EMOJI), rng.choice(STOP_EMOJI)
        thinks, stops = rng.randint(2, 8), rng.randint(2, 4)
        ask = (
            f"Think with {think} {_COUNT_WORDS[thinks]} times."
            f" Stop with {stop} {_COUNT_WORDS[stops]} times."
        )
        golden = f"{think * thinks}\n{problem.answer}\n{stop * stops}"
        return f"{problem.question}\n\n{ask}", golden
    if regime == "regime3":
        ask = f"Answer between {ANSWER_START} and {ANSWER_END}."
        return f"{problem.question}\n\n{ask}", f"{ANSWER_START}{problem.answer}{ANSWER_END}"
    return problem.question, problem.answer


def draw(
    rng: random.Random, pattern: Pattern, level: int, split: Split, regime: Regime | None = None
) -> Example:
    """A random example of this split; the regime is drawn too where none is given.

    Raises:
        ValueError: the level is not one of 1 to ``MAX_LEVEL``.
    """
    if not 1 <= level <= MAX_LEVEL:
        raise ValueError(f"level: {level} is not one of 1 to {MAX_LEVEL}")
    generate = _GENERATORS[pattern]
    problem = generate(rng, level)
    while split_of(problem) != split:
        problem = generate(rng, level)
    chosen: Regime = rng.choice(REGIMES) if regime is None else regime
    prompt, golden = wrap(problem, chosen, rng)
    prefix = _PREFIXES[pattern]
    return Example(
        example_id=f"{prefix}_{zlib.crc32(prompt.encode()) % 10**8:08d}",
        dataset_id=f"{prefix}_{split}_l{level}",
        pattern=pattern,
        level=level,
        regime=chosen,
        prompt=prompt,
        golden=golden,
    )


def fixed_eval(seed: int, per_level: Sequence[int] = (8, 4, 2, 1, 1)) -> list[Example]:
    """The held-out set that the whole run is judged by, the same for the same seed.

    Args:
        seed: decides the examples.
        per_level: how many examples of each pattern at levels 1, 2, ...
    """
    rng = random.Random(f"fixed_eval {seed}")
    regimes = cycle(REGIMES)
    examples = [
        draw(rng, pattern, level, "heldout", next(regimes))
        for pattern in PATTERNS
        for level, count in enumerate(per_level, start=1)
        for _ in range(count)
    ]
    rng.shuffle(examples)
    return examples
