"""How often answers are right: a count of those that are, of those that were scored."""

from __future__ import annotations

from dataclasses import dataclass

from control_room.statistics.intervals import wilson


@dataclass(frozen=True, slots=True)
class ExactMatchRate:
    """An exact-match rate: ``correct`` of ``count`` scored previews, with its 95 % interval."""

    correct: int
    count: int

    @property
    def em(self) -> float | None:
        """From 0 to 1; None without previews."""
        return self.correct / self.count if self.count else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's; None without previews."""
        return wilson(self.correct, self.count) if self.count else None
