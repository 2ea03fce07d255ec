"""Lines that cannot be read, in little memory however many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from control_room.logs.step_limit import BEYOND
from control_room.logs.tail import Reject

MOST_OF_A_FILE: Final = 1_000
MOST_AT_ONCE: Final = 100_000


class Rejects:
    """The first ones of each file one by one; the others of it are counted in one.

    That one has the newest line and its reason. Steps that are beyond the limit are counted apart,
    as the limit may change.
    """

    def __init__(self, rejects: Iterable[Reject] = ()) -> None:
        self._named: list[Reject] = []
        self._counts: Counter[tuple[Path, bool]] = Counter()
        self._others: dict[tuple[Path, bool], Reject] = {}
        self.newest: Reject | None = None  # the last that was added
        self.add_all(rejects)

    def add(self, reject: Reject) -> None:
        """Take one in."""
        self.newest = reject
        key = reject.file, BEYOND in reject.reason
        self._counts[key] += 1
        if (
            reject.lines == 1
            and self._counts[key] <= MOST_OF_A_FILE
            and len(self._named) < MOST_AT_ONCE
        ):
            self._named.append(reject)
            return
        before = self._others.get(key)
        lines = reject.lines if before is None else before.lines + reject.lines
        self._others[key] = Reject(reject.file, reject.line_number, reject.reason, lines)

    def add_all(self, rejects: Iterable[Reject]) -> None:
        """Take them in, in their order."""
        for reject in rejects:
            self.add(reject)

    @property
    def lines(self) -> int:
        """How many lines all of them are."""
        return len(self._named) + sum(each.lines for each in self._others.values())

    def listed(self) -> list[Reject]:
        """Those that are named, then those that stand for several."""
        return [*self._named, *self._others.values()]
