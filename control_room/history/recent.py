"""The newest previews and how they went, kept up to date in memory at a cost that never grows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from control_room.history.patterns import PatternRules
from control_room.records import SAMPLES_POOL, PreviewRecord

Name = TypeVar("Name")

WINDOWS = (20, 50, 100)
TREND_WINDOW = 20  # previews in each point of the trend


@dataclass(frozen=True, slots=True)
class GroupRate:
    """An exact-match rate (0-1) over ``count`` scored previews; None when there are none."""

    em: float | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentSummary:
    """The newest previews in numbers. Previews that were not scored count in ``unscored`` only."""

    latest: PreviewRecord | None = None
    em_last_20: GroupRate = GroupRate(None, 0)
    em_last_50: GroupRate = GroupRate(None, 0)
    em_last_100: GroupRate = GroupRate(None, 0)
    by_regime: Mapping[str, GroupRate] = field(default_factory=dict)
    by_source: Mapping[str, GroupRate] = field(default_factory=dict)
    by_pattern: Mapping[str, GroupRate] = field(default_factory=dict)
    # Also by the golden answer's length in tokens.
    by_pattern_and_length: Mapping[tuple[str, int | None], GroupRate] = field(default_factory=dict)
    em_trend: tuple[float, ...] = ()  # EM of the TREND_WINDOW previews up to each, oldest first
    unscored: int = 0


class RecentPreviews:
    """Holds the newest ``size`` previews in the order of their time, then of their arrival.

    Those of :data:`~control_room.records.SAMPLES_POOL` are passed over. ``rules`` name the pattern
    of a record that has none of its own.
    """

    def __init__(self, rules: PatternRules | None = None, *, size: int = max(WINDOWS)) -> None:
        self._rules = PatternRules() if rules is None else rules
        self._records: deque[PreviewRecord] = deque(maxlen=size)

    def add(self, records: Iterable[PreviewRecord]) -> None:
        """Take in records that were read from the log; each carries its ``ts``."""
        in_order = True
        for record in records:
            if record.source_pool == SAMPLES_POOL:
                continue
            last = self._records[-1] if self._records else None
            if last is not None and _time(record) < _time(last):
                in_order = False
                if len(self._records) == self._records.maxlen and _time(record) < _time(
                    self._records[0]
                ):
                    continue  # older than everything held: it would push out a newer one
            self._records.append(record)
            if not in_order:
                self._sort()
                in_order = True

    def clear(self) -> None:
        """Forget everything, as when the log was replaced."""
        self._records.clear()

    def summary(self) -> RecentSummary:
        """The aggregates over what is held."""
        scored = [record for record in self._records if record.exact_match is not None]
        return RecentSummary(
            latest=self._records[-1] if self._records else None,
            em_last_20=_rate(scored[-20:]),
            em_last_50=_rate(scored[-50:]),
            em_last_100=_rate(scored[-100:]),
            by_regime=_by(scored, lambda record: record.regime),
            by_source=_by(scored, lambda record: record.source_pool),
            by_pattern=_by(scored, self._pattern),
            by_pattern_and_length=_by(
                scored, lambda record: (self._pattern(record), record.golden_tokens)
            ),
            em_trend=_trend(scored),
            unscored=len(self._records) - len(scored),
        )

    def _pattern(self, record: PreviewRecord) -> str:
        return record.pattern or self._rules.pattern_of(record.dataset_id, record.prompt)

    def _sort(self) -> None:
        self._records = deque(sorted(self._records, key=_time), maxlen=self._records.maxlen)


def _time(record: PreviewRecord) -> float:
    return 0.0 if record.ts is None else record.ts.timestamp()


def _rate(records: list[PreviewRecord]) -> GroupRate:
    if not records:
        return GroupRate(None, 0)
    return GroupRate(
        sum(bool(record.exact_match) for record in records) / len(records), len(records)
    )


def _by(
    records: list[PreviewRecord], name_of: Callable[[PreviewRecord], Name | None]
) -> dict[Name, GroupRate]:
    groups: dict[Name, list[PreviewRecord]] = {}
    for record in records:
        name = name_of(record)
        if name is not None:
            groups.setdefault(name, []).append(record)
    return {name: _rate(groups[name]) for name in sorted(groups, key=str)}


def _trend(records: list[PreviewRecord]) -> tuple[float, ...]:
    matches = [bool(record.exact_match) for record in records]
    points = []
    for end in range(min(TREND_WINDOW, len(matches)), len(matches) + 1):
        window = matches[max(0, end - TREND_WINDOW) : end]
        if window:
            points.append(sum(window) / len(window))
    return tuple(points)
