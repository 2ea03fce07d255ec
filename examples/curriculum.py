"""What to train on next: each pattern moves to its next level when it masters the one it is at."""

from __future__ import annotations

import random
from collections.abc import Mapping

from examples.tasks import MAX_LEVEL, PATTERNS, Example, Pattern, Split, draw

MASTERED_EM = 0.85

_CURRENT_LEVEL_SHARE = 0.65


class Curriculum:
    """The level that each pattern has reached, and examples drawn accordingly."""

    def __init__(self, levels: Mapping[Pattern, int] | None = None) -> None:
        self.levels: dict[Pattern, int] = dict.fromkeys(PATTERNS, 1) | dict(levels or {})
        self.weakest: Pattern = PATTERNS[0]

    def judge(self, exact_match: Mapping[Pattern, float]) -> None:
        """Take note of how well each pattern does at its level, as fractions from 0 to 1."""
        self.weakest = min(exact_match, key=lambda pattern: exact_match[pattern])
        for pattern, fraction in exact_match.items():
            if fraction >= MASTERED_EM:
                self.levels[pattern] = min(MAX_LEVEL, self.levels[pattern] + 1)

    def course(self, rng: random.Random, count: int, split: Split = "train") -> list[Example]:
        """All patterns, mostly at their current level."""
        return [self._draw(rng, rng.choice(PATTERNS), split) for _ in range(count)]

    def review(self, rng: random.Random, count: int) -> list[Example]:
        """Half of it the weakest pattern at its level, the rest as in the course."""
        weakest = [
            draw(rng, self.weakest, self.levels[self.weakest], "train") for _ in range(count // 2)
        ]
        return weakest + self.course(rng, count - len(weakest))

    def rehearsal(self, rng: random.Random, count: int) -> list[Example]:
        """All levels reached so far, evenly, so that early ones are not forgotten."""
        patterns = [rng.choice(PATTERNS) for _ in range(count)]
        return [draw(rng, each, rng.randint(1, self.levels[each]), "train") for each in patterns]

    def _draw(self, rng: random.Random, pattern: Pattern, split: Split) -> Example:
        level = self.levels[pattern]
        if rng.random() > _CURRENT_LEVEL_SHARE:
            level = rng.randint(1, level)
        return draw(rng, pattern, level, split)
