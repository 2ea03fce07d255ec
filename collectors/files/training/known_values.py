"""The last known value of each field of a run, and when the trainer last told it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


class KnownValues:
    """Newest value by time wins. Times are epoch seconds."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._seen_at: dict[str, float] = {}

    def put(self, name: str, value: Any, at: float) -> None:
        """Note what was told at ``at``; an older telling than the known one is ignored."""
        if at >= self._seen_at.get(name, at):
            self._values[name] = value
            self._seen_at[name] = at

    def get(self, name: str) -> Any:
        """The last known value; None when there never was one."""
        return self._values.get(name)

    def seen_at(self, name: str) -> float | None:
        return self._seen_at.get(name)

    def forget(self, names: Collection[str] | None = None) -> None:
        """Drop ``names``, or everything."""
        for name in list(self._values) if names is None else names:
            self._values.pop(name, None)
            self._seen_at.pop(name, None)

    def forget_before(self, names: Collection[str], at: float) -> None:
        """Drop those of ``names`` that were last told before ``at``."""
        self.forget([name for name in names if self._seen_at.get(name, at) < at])

    def values(self) -> Mapping[str, Any]:
        """A copy of all values."""
        return dict(self._values)

    def times(self) -> Mapping[str, float]:
        """A copy of all times."""
        return dict(self._seen_at)
