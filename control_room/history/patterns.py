"""Which kind of task a preview belongs to, where its record does not say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

OTHER = "other"


@dataclass(frozen=True, slots=True)
class PatternRule:
    """Names ``pattern`` where the dataset matches a glob, or a regular expression the prompt.

    Raises ``ValueError`` naming the expression when one cannot be compiled.
    """

    pattern: str
    datasets: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for expression in self.prompts:
            try:
                re.compile(expression)
            except re.error as error:
                raise ValueError(
                    f"pattern {self.pattern!r}: {expression!r} is no regular expression: {error}"
                ) from None


class PatternRules:
    """Rules in their order: the first that matches names the pattern; without one it is "other"."""

    def __init__(self, rules: Sequence[PatternRule] = ()) -> None:
        self._rules = tuple(rules)
        self._by_prompt = [
            (index, rule.pattern, [re.compile(expression).search for expression in rule.prompts])
            for index, rule in enumerate(rules)
            if rule.prompts
        ]
        # Datasets are few and come again and again; prompts are not.
        self._first_by_dataset = lru_cache(maxsize=1024)(self._find_by_dataset)

    @property
    def text(self) -> str:
        """The rules in writing: an index made with others has other patterns."""
        return repr(self._rules)

    def __bool__(self) -> bool:
        """Whether there is any rule."""
        return bool(self._rules)

    def patterns_of(self, dataset_ids: Sequence[str | None], prompts: Sequence[str]) -> list[str]:
        """:meth:`pattern_of` each preview."""
        return list(map(self.pattern_of, dataset_ids, prompts))

    def pattern_of(self, dataset_id: str | None, prompt: str) -> str:
        """The pattern of a preview that has none of its own."""
        first = self._first_by_dataset(dataset_id)
        for index, pattern, searches in self._by_prompt:
            if index >= first:
                break
            if any(search(prompt) for search in searches):
                return pattern
        return self._rules[first].pattern if first < len(self._rules) else OTHER

    def _find_by_dataset(self, dataset_id: str | None) -> int:
        for index, rule in enumerate(self._rules):
            if dataset_id is not None and any(fnmatchcase(dataset_id, g) for g in rule.datasets):
                return index
        return len(self._rules)
