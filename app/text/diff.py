"""The difference between a golden answer and a model's, word by word."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from difflib import Match, SequenceMatcher
from functools import lru_cache
from itertools import accumulate

from markupsafe import Markup

from app.text.html import NOTHING, escaped, fill, join
from app.text.visible import shown

# Beyond this many words, texts are shown unmarked.
MAX_WORDS = 1_500
# Nor are more pairs of equal words looked at, which takes half a second: matching is cubic for
# texts that repeat themselves, as those of a model that has got stuck.
_MOST_PAIRS = 6_000_000

# White space and what follows it: a word, or a single mark (an emoji or a brace differs on its
# own), or the end. White space is no word: it would be half of all, and equal to all others.
_TOKEN = re.compile(r"(\s*)(\w+|[^\w\s]|\Z)")


@dataclass(frozen=True, slots=True)
class WordDiff:
    """Both texts as HTML: ``<del>`` is missing from the answer, ``<ins>`` should not be there."""

    golden_html: Markup
    answer_html: Markup
    compared: bool  # False when the texts were too long, or too repetitive, to compare


class _TooManyPairs(Exception):
    pass


class _Matcher(SequenceMatcher[str]):
    """Raises ``_TooManyPairs`` where matching would take too long."""

    def __init__(self, a: list[str], b: list[str]) -> None:
        super().__init__(None, a, b, autojunk=False)
        counts = Counter(b)
        self._pairs_before = list(accumulate((counts[word] for word in a), initial=0))
        self._left = _MOST_PAIRS

    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> Match:
        self._left -= self._pairs_before[-1 if ahi is None else ahi] - self._pairs_before[alo]
        if self._left < 0:
            raise _TooManyPairs
        return super().find_longest_match(alo, ahi, blo, bhi)


@lru_cache(maxsize=32)  # a page asks for the same again whenever it refreshes
def word_diff(golden: str, answer: str) -> WordDiff:
    """Mark what the answer leaves out and what it adds, of both as they are shown."""
    same = golden == answer
    golden, answer = shown(golden), shown(answer)
    unmarked = WordDiff(escaped(golden), escaped(answer), compared=same)
    a_spaces, a_words = _tokens(golden)
    b_spaces, b_words = _tokens(answer)
    if same or max(len(a_words), len(b_words)) > MAX_WORDS:
        return unmarked
    try:
        steps = _Matcher(a_words, b_words).get_opcodes()
    except _TooManyPairs:
        return unmarked
    left: list[Markup] = []
    right: list[Markup] = []
    for tag, a_from, a_to, b_from, b_to in steps:
        if tag == "equal":
            for a, b in zip(range(a_from, a_to), range(b_from, b_to), strict=True):
                differ = a_spaces[a] != b_spaces[b]
                left.append(_marked("del", a_spaces[a], differ) + escaped(a_words[a]))
                right.append(_marked("ins", b_spaces[b], differ) + escaped(b_words[b]))
            continue
        left.append(_run("del", a_spaces[a_from:a_to], a_words[a_from:a_to]))
        right.append(_run("ins", b_spaces[b_from:b_to], b_words[b_from:b_to]))
    return WordDiff(join(left), join(right), compared=True)


def _tokens(text: str) -> tuple[list[str], list[str]]:
    """The words, the last of which is none, and the white space before each."""
    found = _TOKEN.findall(text)
    if found[-2:-1] and not found[-2][1]:  # the end is found again after white space
        found.pop()
    return [space for space, _ in found], [word for _, word in found]


def _run(mark: str, spaces: list[str], words: list[str]) -> Markup:
    """Marked words; the white space before them is not marked."""
    if not words:
        return NOTHING
    rest = "".join(space + word for space, word in zip(spaces[1:], words[1:], strict=True))
    return escaped(spaces[0]) + _marked(mark, words[0] + rest)


def _marked(mark: str, text: str, really: bool = True) -> Markup:
    return fill("<{0}>{1}</{0}>", mark, escaped(text)) if really and text else escaped(text)
