"""The newest previews and how they went, kept up to date in memory at a cost that never grows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeVar

from control_room.logs.patterns import PatternRules
from control_room.logs.repeats import is_repeat
from control_room.recording.records import SAMPLES_POOL, PreviewRecord
from control_room.statistics.exact_match import ExactMatchRate

Name = TypeVar("Name")

WINDOWS = (20, 50, 100)
_NO_PREVIEWS = ExactMatchRate(0, 0)
AHEAD_S = 60.0  # a clock that is more than this ahead is wrong
TREND_WINDOW = 20  # previews in each point of the trend


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentSummary:
    """The newest previews in numbers. Previews that were not scored count in ``unscored`` only."""

    latest: PreviewRecord | None = None
    latest_ahead_s: float | None = None  # how far its time was ahead when it was read; None: not
    em_last_20: ExactMatchRate = _NO_PREVIEWS
    em_last_50: ExactMatchRate = _NO_PREVIEWS
    em_last_100: ExactMatchRate = _NO_PREVIEWS
    by_regime: Mapping[str, ExactMatchRate] = field(default_factory=dict)
    by_source: Mapping[str, ExactMatchRate] = field(default_factory=dict)
    by_pattern: Mapping[str, ExactMatchRate] = field(default_factory=dict)
    # Also by the golden answer's length in tokens.
    by_pattern_and_length: Mapping[tuple[str, int | None], ExactMatchRate] = field(
        default_factory=dict
    )
    em_trend: tuple[float, ...] = ()  # EM of the TREND_WINDOW previews up to each, oldest first
    unscored: int = 0


@dataclass(frozen=True, slots=True)
class _Ahead:
    """Of a preview that is stamped in the future: when it came, and by how much it is ahead."""

    arrived_at: float  # epoch seconds
    by_s: float


class RecentPreviews:
    """Holds the newest ``size`` previews in the order of their time, then of their arrival.

    One that is stamped more than :data:`AHEAD_S` in the future, by a clock that is wrong, counts as
    of its arrival: before the next line of its file. Those of
    :data:`SAMPLES_POOL` are passed over. ``rules`` name the pattern of a
    record that has none of its own.
    """

    def __init__(self, rules: PatternRules | None = None, *, size: int = max(WINDOWS)) -> None:
        self._rules = PatternRules() if rules is None else rules
        self._records: deque[PreviewRecord] = deque(maxlen=size)
        self._ahead: dict[int, _Ahead] = {}  # by id of the record

    def add(self, records: Iterable[PreviewRecord], now: float | None = None) -> None:
        """Take in records that were read from the log, in its order; each carries its ``ts``.

        ``now`` (epoch seconds) is when they were read; None: this moment.
        """
        records = list(records)
        self._note_those_ahead(records, time.time() if now is None else now)
        in_order = True
        for record in records:
            if record.source_pool == SAMPLES_POOL or is_repeat(record, reversed(self._records)):
                continue
            last = self._records[-1] if self._records else None
            if last is not None and self._time(record) < self._time(last):
                in_order = False
                is_full = len(self._records) == self._records.maxlen
                if is_full and self._time(record) < self._time(self._records[0]):
                    continue  # older than everything held: it would push out a newer one
            self._records.append(record)
            if not in_order:
                self._sort()
                in_order = True
        if self._ahead:
            held = {id(record) for record in self._records}
            self._ahead = {key: each for key, each in self._ahead.items() if key in held}

    def clear(self) -> None:
        """Forget everything, as when the log was replaced."""
        self._records.clear()
        self._ahead.clear()

    def _note_those_ahead(self, records: Sequence[PreviewRecord], now: float) -> None:
        # Whatever stands behind it in the log came later, however that is stamped.
        arrived_at = now
        for record in reversed(records):
            ahead_s = _time(record) - now
            if ahead_s > AHEAD_S:
                self._ahead[id(record)] = _Ahead(arrived_at, ahead_s)
            else:
                arrived_at = min(arrived_at, _time(record))

    def _time(self, record: PreviewRecord) -> float:
        ahead = self._ahead.get(id(record))
        return _time(record) if ahead is None else ahead.arrived_at

    def summary(self) -> RecentSummary:
        """The aggregates over what is held."""
        latest = self._records[-1] if self._records else None
        ahead = self._ahead.get(id(latest))
        scored = [record for record in self._records if record.exact_match is not None]
        matches = [bool(record.exact_match) for record in scored]
        named = self._rules.patterns_of(
            [record.dataset_id for record in scored], [record.prompt for record in scored]
        )
        patterns = [record.pattern or name for record, name in zip(scored, named, strict=True)]
        lengths = [record.golden_tokens for record in scored]
        return RecentSummary(
            latest=latest,
            latest_ahead_s=None if ahead is None else ahead.by_s,
            em_last_20=_rate(matches[-20:]),
            em_last_50=_rate(matches[-50:]),
            em_last_100=_rate(matches[-100:]),
            by_regime=_in_order(_by([record.regime for record in scored], matches)),
            by_source=_in_order(_by([record.source_pool for record in scored], matches)),
            by_pattern=_in_order(_by(patterns, matches)),
            by_pattern_and_length=_by(list(zip(patterns, lengths, strict=True)), matches),
            em_trend=_trend(matches),
            unscored=len(self._records) - len(scored),
        )

    def _sort(self) -> None:
        self._records = deque(sorted(self._records, key=self._time), maxlen=self._records.maxlen)


def _time(record: PreviewRecord) -> float:
    return 0.0 if record.ts is None else record.ts.timestamp()


def _rate(matches: Sequence[bool]) -> ExactMatchRate:
    return ExactMatchRate(sum(matches), len(matches))


def _by(names: Sequence[Name | None], matches: Sequence[bool]) -> dict[Name, ExactMatchRate]:
    """The rate of each name; what has none counts nowhere."""
    counts: dict[Name, list[int]] = {}  # right, and all
    for name, match in zip(names, matches, strict=True):
        if name is not None:
            found = counts.setdefault(name, [0, 0])
            found[0] += match
            found[1] += 1
    return {name: ExactMatchRate(right, count) for name, (right, count) in counts.items()}


def _in_order(rates: Mapping[str, ExactMatchRate]) -> dict[str, ExactMatchRate]:
    return dict(sorted(rates.items()))


def _trend(matches: Sequence[bool]) -> tuple[float, ...]:
    """Of each stretch of TREND_WINDOW; of all, while there are fewer."""
    if not matches:
        return ()
    width = min(TREND_WINDOW, len(matches))
    sums = [0, *accumulate(matches)]
    return tuple((high - low) / width for low, high in zip(sums, sums[width:], strict=False))
