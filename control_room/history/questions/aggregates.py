"""What the history comes to: rates with their intervals, by group, over steps, by length and CE.

Plain SQL, every parameter bound. Previews that were not scored count nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from control_room.history.filters import PreviewFilter
from control_room.history.queries import Cursor
from control_room.recording.records import SAMPLES_POOL
from control_room.statistics.exact_match import ExactMatchRate

GROUPS = ("regime", "source_pool", "dataset_id", "pattern")
UNKNOWN = "unknown"
NO_FAILURE_MODE = "not classified"

# Bins of the curves "answer length vs EM" and "CE vs EM"; the last is open.
ANSWER_LENGTH_BIN_TOKENS = 25
CE_BIN_NATS = 0.25
CURVE_BINS = 20
# An error of the server is not scored, and yet one way to fail.
_FAILED = "(NOT exact_match OR (exact_match IS NULL AND failure_mode = 'server_error'))"


@dataclass(frozen=True, slots=True)
class Statistics:
    """The rate over all that match, and by regime and source; and how many were not scored."""

    overall: ExactMatchRate
    unscored: int
    by_regime: dict[str, ExactMatchRate]
    by_source: dict[str, ExactMatchRate]


@dataclass(frozen=True, slots=True)
class StepRate:
    """The rate of one group over the steps from ``first_step`` to ``last_step``."""

    group: str
    first_step: int
    last_step: int
    rate: ExactMatchRate


@dataclass(frozen=True, slots=True)
class FailureShare:
    """How many of the failures from ``first_step`` to ``last_step`` were of one mode."""

    failure_mode: str
    first_step: int
    last_step: int
    count: int
    failures: int  # of all modes

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.count / self.failures


@dataclass(frozen=True, slots=True)
class HeatmapCell:
    """A pattern and a bin of golden lengths; ``low`` None: the length is not known."""

    pattern: str
    low: int | None
    rate: ExactMatchRate


@dataclass(frozen=True, slots=True)
class BinRate:
    """The rate of the previews from ``low`` to before ``high`` (None: and beyond)."""

    low: float
    high: float | None
    rate: ExactMatchRate


@dataclass(frozen=True, slots=True)
class ThroughputPoint:
    """One throughput sample."""

    step: int | None
    tokens_per_sec: float
    vram_used_gb: float | None
    vram_pct: float | None
    batch_size: int | None
    sequence_length: int | None


@dataclass(frozen=True, slots=True)
class ThroughputPoints:
    """Samples to draw, oldest first, of ``total`` that there are."""

    drawn: tuple[ThroughputPoint, ...]
    total: int


@dataclass(frozen=True, slots=True)
class ThroughputSetting:
    """A batch size and sequence length, and what it gave."""

    batch_size: int | None
    sequence_length: int | None
    samples: int
    tokens_per_sec_median: float
    vram_used_gb_max: float | None
    vram_pct_max: float | None


def statistics(cursor: Cursor, wanted: PreviewFilter) -> Statistics:
    """Rates over the previews that match, in one pass."""
    where, values = _counted(wanted)
    query = (
        "SELECT grouping(regime, source_pool), coalesce(regime, source_pool), "
        "count(*) FILTER (exact_match), count(exact_match), count(*) "
        f"FROM previews WHERE {where} "
        "GROUP BY GROUPING SETS ((), (regime), (source_pool)) ORDER BY 2"
    )
    overall, unscored = ExactMatchRate(0, 0), 0
    by_regime: dict[str, ExactMatchRate] = {}
    by_source: dict[str, ExactMatchRate] = {}
    for grouping, name, correct, scored, count in cursor.execute(query, values).fetchall():
        if grouping == 3:
            overall, unscored = ExactMatchRate(correct, scored), count - scored
        elif scored:
            groups = by_regime if grouping == 1 else by_source
            groups[UNKNOWN if name is None else name] = ExactMatchRate(correct, scored)
    return Statistics(overall, unscored, by_regime, by_source)


def em_over_steps(
    cursor: Cursor,
    wanted: PreviewFilter,
    *,
    group: Literal["regime", "source_pool", "dataset_id", "pattern"] = "regime",
    bins: int = 60,
) -> list[StepRate]:
    """EM of each group over at most ``bins`` equal stretches of steps, oldest first."""
    if group not in GROUPS:
        raise ValueError(f"{group} is not one of {', '.join(GROUPS)}")
    where, values = _counted(wanted)
    query = (
        f"{_stretches(where, 'exact_match IS NOT NULL')} "
        f"SELECT coalesce({group}, ?) AS name, (step - start) // width AS bin, start, width, "
        "count(*) FILTER (exact_match), count(*) "
        f"FROM previews, stretch WHERE {where} AND exact_match IS NOT NULL "
        "GROUP BY ALL ORDER BY bin, name"
    )
    rows = cursor.execute(query, [bins, *values, UNKNOWN, *values]).fetchall()
    return [
        StepRate(name, *_bounds(number, start, width), ExactMatchRate(right, count))
        for name, number, start, width, right, count in rows
    ]


def failure_modes(cursor: Cursor, wanted: PreviewFilter, *, bins: int = 1) -> list[FailureShare]:
    """The failures by mode, over at most ``bins`` equal stretches of steps; most frequent first.

    Errors of the server are among them, though no rate counts them.
    """
    where, values = _counted(wanted)
    query = (
        f"{_stretches(where, _FAILED)} "
        "SELECT coalesce(failure_mode, ?) AS mode, (step - start) // width AS bin, start, width, "
        "count(*) AS count, sum(count(*)) OVER (PARTITION BY bin)::BIGINT AS failures "
        f"FROM previews, stretch WHERE {where} AND {_FAILED} "
        "GROUP BY mode, bin, start, width ORDER BY bin, count DESC, mode"
    )
    rows = cursor.execute(query, [bins, *values, NO_FAILURE_MODE, *values]).fetchall()
    return [
        FailureShare(mode, *_bounds(number, start, width), count, failures)
        for mode, number, start, width, count, failures in rows
    ]


def heatmap(cursor: Cursor, wanted: PreviewFilter, edges: Sequence[int]) -> list[HeatmapCell]:
    """EM by pattern and golden length; ``edges`` are where the bins begin, rising.

    Lengths below the first edge belong to the first bin.
    """
    where, values = _counted(wanted)
    steps = " ".join("WHEN golden_tokens >= ? THEN ?" for _ in edges[1:])
    bounds = [bound for edge in reversed(edges[1:]) for bound in (edge, edge)]
    query = (
        f"SELECT pattern, CASE WHEN golden_tokens IS NULL THEN NULL {steps} ELSE ? END AS low, "
        "count(*) FILTER (exact_match), count(*) "
        f"FROM previews WHERE {where} AND exact_match IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2"
    )
    rows = cursor.execute(query, [*bounds, edges[0], *values]).fetchall()
    return [
        HeatmapCell(pattern, low, ExactMatchRate(right, count))
        for pattern, low, right, count in rows
    ]


def em_by_answer_length(cursor: Cursor, wanted: PreviewFilter) -> list[BinRate]:
    """EM by how long the model's answer was, in tokens."""
    return _curve(cursor, wanted, "model_tokens", ANSWER_LENGTH_BIN_TOKENS)


def em_by_ce(cursor: Cursor, wanted: PreviewFilter) -> list[BinRate]:
    """EM by the cross-entropy of the golden answer, in nats per token."""
    return _curve(cursor, wanted, "ce", CE_BIN_NATS)


def throughput_points(cursor: Cursor, *, limit: int = 2_000) -> ThroughputPoints:
    """All samples; of more than ``limit`` so many, evenly spread, the newest among them."""
    query = (
        "SELECT step, tokens_per_sec, vram_used_gb, vram_pct, batch_size, sequence_length, total "
        "FROM (SELECT *, row_number() OVER (ORDER BY seq) AS place, count(*) OVER () AS total "
        "FROM throughput WHERE isfinite(tokens_per_sec)) "
        "WHERE place * $most // total > (place - 1) * $most // total ORDER BY seq"
    )
    rows = cursor.execute(query, {"most": limit}).fetchall()
    total = rows[0][-1] if rows else 0
    return ThroughputPoints(tuple(ThroughputPoint(*row[:-1]) for row in rows), total)


def throughput_settings(cursor: Cursor) -> list[ThroughputSetting]:
    """What each batch size and sequence length gave, the fastest first."""
    query = (
        "SELECT batch_size, sequence_length, count(*), median(tokens_per_sec), "
        "max(vram_used_gb), max(vram_pct) FROM throughput WHERE isfinite(tokens_per_sec) "
        "GROUP BY 1, 2 ORDER BY 4 DESC, 1, 2"
    )
    return [ThroughputSetting(*row) for row in cursor.execute(query).fetchall()]


def _counted(wanted: PreviewFilter) -> tuple[str, list[Any]]:
    """The condition and its parameters: rounds of samples count only where they are asked for."""
    where, values = wanted.where()
    if wanted.source_pool is None:
        where += f" AND source_pool IS DISTINCT FROM '{SAMPLES_POOL}'"
    return where, values


def _curve(cursor: Cursor, wanted: PreviewFilter, column: str, width: float) -> list[BinRate]:
    where, values = _counted(wanted)
    query = (
        f"SELECT least(floor({column} / ?), ?)::BIGINT AS bin, "
        "count(*) FILTER (exact_match), count(*) FROM previews "
        f"WHERE {where} AND exact_match IS NOT NULL AND isfinite({column}::DOUBLE) "
        f"AND {column} >= 0 GROUP BY bin ORDER BY bin"
    )
    rows: list[Any] = cursor.execute(query, [width, CURVE_BINS - 1, *values]).fetchall()
    return [
        BinRate(
            number * width,
            None if number == CURVE_BINS - 1 else (number + 1) * width,
            ExactMatchRate(correct, count),
        )
        for number, correct, count in rows
    ]


def _bounds(number: int, start: int, width: int) -> tuple[int, int]:
    """The first and the last step of a stretch."""
    return start + number * width, start + (number + 1) * width - 1


def _stretches(where: str, counted: str) -> str:
    """A table of one row: where the steps that match start, and how wide a stretch of them is."""
    return (
        "WITH stretch AS MATERIALIZED (SELECT min(step) AS start, "
        "greatest(1, ceil((max(step) - min(step) + 1) / ?)::BIGINT) AS width "
        f"FROM previews WHERE {where} AND {counted})"
    )
