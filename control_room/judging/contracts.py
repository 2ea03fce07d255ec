"""What a regime asks of an answer's form, as data: named checks that also take the form off.

A user adds a regime by adding an entry to the settings; see :func:`contracts_from`. All of it is
bounded and none of it is an expression, so that a run directory may bring contracts of its own.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

_MOST_CHECKS = 20  # of a regime
_MOST_SYMBOLS = 100
_MOST_REPEATS = 10_000
_LONGEST_TEXT = 200  # characters
_EXAMPLE = '[[contracts.bullets]] with check = "prefix_repeat"'
_VARIATION_SELECTOR = "\ufe0f"  # some tokenizers write it behind an emoji, some leave it out


class Check(Protocol):
    """One part of a contract."""

    def status(self, answer: str) -> dict[str, bool]:
        """Which named demands the answer meets."""

    def strip(self, answer: str) -> str:
        """The answer without this part of the form, as far as it is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixRepeat:
    """The answer starts with one of the symbols, that one repeated within the limits."""

    name: str
    symbols: tuple[str, ...]
    min_repeats: int
    max_repeats: int

    def status(self, answer: str) -> dict[str, bool]:
        repeats, _ = self._leading(answer.lstrip(), most=self.max_repeats + 1)
        return {self.name: self.min_repeats <= repeats <= self.max_repeats}

    def strip(self, answer: str) -> str:
        answer = answer.lstrip()
        return answer[self._leading(answer)[1] :].lstrip()

    def _leading(self, text: str, most: int | None = None) -> tuple[int, int]:
        """How often the first symbol is repeated, ``most`` counted, and where they end."""
        for symbol in map(_bare, self.symbols):
            repeats = position = 0
            while repeats != most and text.startswith(symbol, position):
                repeats += 1
                position += len(symbol)
                position += text.startswith(_VARIATION_SELECTOR, position)
            if repeats:
                return repeats, position
        return 0, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SuffixRepeat:
    """The answer ends with one of the symbols, that one repeated within the limits."""

    name: str
    symbols: tuple[str, ...]
    min_repeats: int
    max_repeats: int

    def status(self, answer: str) -> dict[str, bool]:
        repeats, _ = self._trailing(answer.rstrip(), most=self.max_repeats + 1)
        return {self.name: self.min_repeats <= repeats <= self.max_repeats}

    def strip(self, answer: str) -> str:
        answer = answer.rstrip()
        return answer[: self._trailing(answer)[1]].rstrip()

    def _trailing(self, text: str, most: int | None = None) -> tuple[int, int]:
        """How often the last symbol is repeated, ``most`` counted, and where they begin."""
        for symbol in map(_bare, self.symbols):
            repeats, position = 0, len(text)
            while repeats != most:
                end = position - text.endswith(_VARIATION_SELECTOR, 0, position)
                if not text.endswith(symbol, 0, end):
                    break
                repeats += 1
                position = end - len(symbol)
            if repeats:
                return repeats, position
        return 0, len(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delimiters:
    """The answer stands between two markers; what is outside of them does not count."""

    start: str
    end: str
    start_name: str = "answer_start"
    end_name: str = "answer_end"

    def status(self, answer: str) -> dict[str, bool]:
        _, start, rest = answer.partition(self.start)
        before_end = rest if start else answer
        return {self.start_name: bool(start), self.end_name: self.end in before_end}

    def strip(self, answer: str) -> str:
        before, start, rest = answer.partition(self.start)
        return (rest if start else before).partition(self.end)[0].strip()


Contracts = Mapping[str, Sequence[Check]]

DEFAULT_CONTRACTS: Contracts = {
    "emoji_think": (
        PrefixRepeat(
            name="emoji_prefix",
            symbols=("🤔", "💭", "🧠", "💡", "🎯", "🔍", "🤨", "🧐", "⚡", "✨"),
            min_repeats=2,
            max_repeats=8,
        ),
        SuffixRepeat(
            name="stop_emoji",
            symbols=("🛑", "⛔", "🚫", "❌", "🔴", "⏹️", "🔚", "✋", "🚦", "🛡️"),
            min_repeats=2,
            max_repeats=4,
        ),
    ),
    "regime3": (Delimiters(start="<<ANS_START>>", end="<<ANS_END>>"),),
    "plain_sft": (),
}

_KINDS: Mapping[str, type[PrefixRepeat] | type[SuffixRepeat] | type[Delimiters]] = {
    "prefix_repeat": PrefixRepeat,
    "suffix_repeat": SuffixRepeat,
    "delimiters": Delimiters,
}


def contracts_from(settings: Mapping[str, Sequence[Mapping[str, Any]]]) -> Contracts:
    """The default contracts with those of the settings added or put in their place.

    A regime maps to its checks, each a table of a class's fields and its ``check``:
    ``{"check": "prefix_repeat", "name": "bullet", "symbols": ["*"], "min_repeats": 1,
    "max_repeats": 1}``; the others are ``suffix_repeat`` and ``delimiters``. Raises ``ValueError``
    naming the regime and what is wrong.
    """
    if not isinstance(settings, Mapping):
        raise ValueError(f"contracts: expected {_EXAMPLE}")
    added: dict[str, tuple[Check, ...]] = {}
    for regime, checks in settings.items():
        try:
            added[regime] = checks_from(checks)
        except ValueError as error:
            raise ValueError(f"contract of {regime}: {error}") from None
    return {**DEFAULT_CONTRACTS, **added}


def checks_from(checks: object) -> tuple[Check, ...]:
    """One regime's checks, of their tables. Raises ``ValueError`` saying what is wrong."""
    if not isinstance(checks, list | tuple) or not all(isinstance(c, Mapping) for c in checks):
        raise ValueError(f"expected a list of checks, as in {_EXAMPLE}")
    if len(checks) > _MOST_CHECKS:
        raise ValueError(f"{len(checks)} checks are more than {_MOST_CHECKS}")
    return tuple(map(_check_from, checks))


def _check_from(settings: Mapping[str, Any]) -> Check:
    given = dict(settings)
    kind = given.pop("check", None)
    check_class = _KINDS.get(str(kind))
    if check_class is None:
        raise ValueError(f"check = {_shown(kind)} is none of {', '.join(_KINDS)}")
    for name, value in given.items():
        kinds = {field.name: str(field.type) for field in fields(check_class)}
        if name not in kinds:
            raise ValueError(f"{kind} has no {_shown(name)}; it has {', '.join(kinds)}")
        given[name] = _setting(name, kinds[name], value)
    least, most = (given.get(f"{end}_repeats", 0) for end in ("min", "max"))
    if "max_repeats" in given and least > most:  # which no answer could keep
        raise ValueError(f"min_repeats = {least} is above max_repeats = {most}")
    try:
        return check_class(**given)
    except TypeError as error:
        raise ValueError(f"{kind} is incomplete: {error}") from None


def _setting(name: str, kind: str, value: object) -> object:
    if kind == "int":
        if type(value) is int and 0 <= value <= _MOST_REPEATS:
            return value
        expected = f"a whole number from 0 to {_MOST_REPEATS:,}"
    elif kind == "str":
        if isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT:
            return value
        expected = f"a text that is not empty, of {_LONGEST_TEXT} characters at most"
    else:
        if isinstance(value, list | tuple) and 0 < len(value) <= _MOST_SYMBOLS:
            texts = tuple(t for t in value if isinstance(t, str) and _bare(t))
            if len(texts) == len(value) and max(map(len, texts)) <= _LONGEST_TEXT:
                return texts
        expected = (
            f"a list of 1 to {_MOST_SYMBOLS} texts, none of them empty or longer than "
            f"{_LONGEST_TEXT} characters"
        )
    raise ValueError(f"{name} = {_shown(value)}: expected {expected}")


def _shown(value: object) -> str:
    return reprlib.repr(value)


def _bare(symbol: str) -> str:
    return symbol.replace(_VARIATION_SELECTOR, "")
