"""Which kind of task a preview belongs to, where its record does not say."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from itertools import compress

from control_room.extra import load_extra

OTHER = "other"

Search = Callable[[Sequence[str]], list[bool]]  # of each prompt: whether the rule is met


@dataclass(frozen=True, slots=True)
class PatternRule:
    """Names ``pattern`` where the dataset matches a glob, or a regular expression the prompt.

    ``linear``: the expressions are RE2's, whose time grows with the prompt's length alone. Python's
    own know more (``(?=…)``, ``\\1``) and may take for ever: they are for whoever writes them.
    Raises ``ValueError`` naming the expression when one cannot be compiled.
    """

    pattern: str
    datasets: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    linear: bool = False

    def __post_init__(self) -> None:
        for expression in self.prompts:
            try:
                self._search(expression)([""])
            except (ValueError, RecursionError, OverflowError, re.error) as error:
                raise ValueError(
                    f"pattern {self.pattern!r}: {expression!r} is no regular expression: {error}"
                ) from None

    def searches(self) -> list[Search]:
        """What looks for each of the expressions in prompts."""
        return [self._search(expression) for expression in self.prompts]

    def _search(self, expression: str) -> Search:
        if self.linear:
            return partial(_search_linear, expression)
        compiled = re.compile(expression)
        return lambda prompts: [compiled.search(prompt) is not None for prompt in prompts]


def _search_linear(expression: str, prompts: Sequence[str]) -> list[bool]:
    # A lone surrogate is no UTF-8, which is what Arrow holds.
    texts = [prompt.encode(errors="replace").decode() for prompt in prompts]
    arrow, compute = load_extra("pyarrow"), load_extra("pyarrow.compute")
    column = arrow.array(texts, arrow.large_string())
    found: list[bool] = compute.match_substring_regex(column, pattern=expression).to_pylist()
    return found


class PatternRules:
    """Rules in their order: the first that matches names the pattern; without one it is "other"."""

    def __init__(self, rules: Sequence[PatternRule] = ()) -> None:
        self._rules = tuple(rules)
        self._by_prompt = [
            (index, rule.searches()) for index, rule in enumerate(rules) if rule.prompts
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
        first = [self._first_by_dataset(dataset_id) for dataset_id in dataset_ids]
        for index, searches in self._by_prompt:
            for search in searches:
                # Of those that no earlier rule has named yet.
                open_ones = [row for row, found in enumerate(first) if index < found]
                met = search([prompts[row] for row in open_ones])
                for row in compress(open_ones, met):
                    first[row] = index
        return [self._rules[i].pattern if i < len(self._rules) else OTHER for i in first]

    def pattern_of(self, dataset_id: str | None, prompt: str) -> str:
        """The pattern of a preview that has none of its own."""
        return self.patterns_of([dataset_id], [prompt])[0]

    def _find_by_dataset(self, dataset_id: str | None) -> int:
        for index, rule in enumerate(self._rules):
            if dataset_id is not None and any(fnmatchcase(dataset_id, g) for g in rule.datasets):
                return index
        return len(self._rules)
