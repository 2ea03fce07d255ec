"""The difference between a golden answer and a model's, word by word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from html import escape

from app.shown_text import shown

# Matching is quadratic in the worst case: beyond this many words, texts are shown unmarked.
MAX_WORDS = 1_500

# Words, runs of white space, and single marks: an emoji or a brace differs on its own.
_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class WordDiff:
    """Both texts as HTML: ``<del>`` is missing from the answer, ``<ins>`` should not be there."""

    golden_html: str
    answer_html: str
    compared: bool  # False when the texts were too long to compare


def word_diff(golden: str, answer: str) -> WordDiff:
    """Mark what the answer leaves out and what it adds, of both as they are shown."""
    same = golden == answer
    golden, answer = shown(golden), shown(answer)
    golden_words, answer_words = _TOKEN.findall(golden), _TOKEN.findall(answer)
    if max(len(golden_words), len(answer_words)) > MAX_WORDS:
        return WordDiff(escape(golden), escape(answer), compared=same)
    left: list[str] = []
    right: list[str] = []
    matcher = SequenceMatcher(None, golden_words, answer_words, autojunk=False)
    for tag, a_from, a_to, b_from, b_to in matcher.get_opcodes():
        a, b = (
            escape("".join(golden_words[a_from:a_to])),
            escape("".join(answer_words[b_from:b_to])),
        )
        if tag == "equal":
            left.append(a)
            right.append(b)
            continue
        left.append(f"<del>{a}</del>" if a else "")
        right.append(f"<ins>{b}</ins>" if b else "")
    return WordDiff("".join(left), "".join(right), compared=True)
