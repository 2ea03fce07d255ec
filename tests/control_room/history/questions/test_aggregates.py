"""Every statistic of the history, against the same computed by pandas and scipy."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy.stats import binomtest

from control_room import PreviewRecord, Recorder, RunDir
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex
from control_room.history.questions import aggregates
from control_room.statistics.exact_match import ExactMatchRate

START = datetime(2026, 1, 1, tzinfo=UTC)
COUNT = 700
EDGES = (0, 50, 100, 200)
FILTERS = [
    PreviewFilter(),
    PreviewFilter(regime="regime3"),
    PreviewFilter(min_step=500, max_step=2_000, source_pool="train"),
    PreviewFilter(regime="no such"),
]


def made(rnd: random.Random, i: int) -> dict[str, Any]:
    match = rnd.choice([True, False, False, None])
    return {
        "ts": START + timedelta(seconds=i),
        "step": i * 5,
        "prompt": "p",
        "golden": "g",
        "model_answer": "a",
        "exact_match": match,
        "regime": rnd.choice(["emoji_think", "regime3", None]),
        "source_pool": rnd.choice(["fixed_eval", "train"]),
        "pattern": rnd.choice(["syllogism", "addition", None]),
        "failure_mode": rnd.choice(["empty", "wrong_content", None]) if match is False else None,
        "golden_tokens": rnd.choice([None, 0, 49, 50, 99, 100, 199, 200, 5_000]),
        "model_tokens": rnd.choice([None, 0, 24, 25, 100, 474, 475, 10_000]),
        "ce": rnd.choice([None, 0.0, 0.2499, 0.25, 3.0, 4.75, 100.0, math.nan, math.inf]),
    }


@pytest.fixture(scope="module")
def data() -> list[dict[str, Any]]:
    rnd = random.Random(7)
    return [made(rnd, i) for i in range(COUNT)]


@pytest.fixture(scope="module")
def cursor(tmp_path_factory: pytest.TempPathFactory, data: list[dict[str, Any]]) -> Iterator[Any]:
    run = RunDir(tmp_path_factory.mktemp("aggregates") / "run")
    with Recorder(run) as recorder:
        for fields in data:
            recorder.log_preview(PreviewRecord(**fields))
        for step in range(90):
            recorder.log_throughput(
                step=step,
                tokens_per_sec=float(1_000 + step) if step % 9 else math.nan,
                vram_used_gb=10.0 + step % 3,
                vram_pct=50.0 + 5 * (step % 3),
                batch_size=(8, 16)[step % 2],
                sequence_length=(512, 1024, None)[step % 3],
            )
    with HistoryIndex(run) as index:
        index.refresh()
        yield index.cursor()


def frame(data: list[dict[str, Any]], wanted: PreviewFilter) -> pd.DataFrame:
    """The scored previews that match."""
    every = pd.DataFrame(data)
    every["pattern"] = every["pattern"].fillna("other")
    if wanted.regime is not None:
        every = every[every["regime"] == wanted.regime]
    if wanted.source_pool is not None:
        every = every[every["source_pool"] == wanted.source_pool]
    if wanted.min_step is not None:
        every = every[every["step"].between(wanted.min_step, wanted.max_step or math.inf)]
    return every


def scored(every: pd.DataFrame) -> pd.DataFrame:
    return every[every["exact_match"].notna()].assign(
        right=lambda known: known["exact_match"].astype(bool)
    )


def rate(of: pd.DataFrame) -> ExactMatchRate:
    return ExactMatchRate(int(of["right"].sum()), len(of))


def test_a_rate_has_scipys_interval_and_none_without_previews() -> None:
    assert ExactMatchRate(3, 10).interval == pytest.approx(
        tuple(binomtest(3, 10).proportion_ci(0.95, method="wilson")), abs=1e-9
    )
    assert (ExactMatchRate(0, 0).em, ExactMatchRate(0, 0).interval) == (None, None)


@pytest.mark.parametrize("wanted", FILTERS)
def test_rates_by_regime_and_source(
    cursor: Any, data: list[dict[str, Any]], wanted: PreviewFilter
) -> None:
    every = frame(data, wanted)
    known = scored(every)
    found = aggregates.statistics(cursor, wanted)
    assert found.overall == rate(known)
    assert found.unscored == len(every) - len(known)
    for name, groups in (("regime", found.by_regime), ("source_pool", found.by_source)):
        expected = known.fillna({name: "unknown"}).groupby(name)
        assert groups == {group: rate(rows) for group, rows in expected}


@pytest.mark.parametrize("wanted", FILTERS)
@pytest.mark.parametrize("bins", [1, 7, 60, 100_000])
def test_em_over_steps(
    cursor: Any, data: list[dict[str, Any]], wanted: PreviewFilter, bins: int
) -> None:
    found = aggregates.em_over_steps(cursor, wanted, bins=bins)
    known = scored(frame(data, wanted)).fillna({"regime": "unknown"})
    assert len({point.first_step for point in found}) <= bins
    assert sum(point.rate.count for point in found) == len(known)
    for point in found:
        within = known["step"].between(point.first_step, point.last_step)
        assert point.rate == rate(known[within & (known["regime"] == point.group)])


@pytest.mark.parametrize("wanted", FILTERS)
@pytest.mark.parametrize("bins", [1, 5])
def test_failure_modes(
    cursor: Any, data: list[dict[str, Any]], wanted: PreviewFilter, bins: int
) -> None:
    found = aggregates.failure_modes(cursor, wanted, bins=bins)
    known = scored(frame(data, wanted))
    failed = known[~known["right"]].fillna({"failure_mode": "not classified"})
    assert sum(share.count for share in found) == len(failed)
    for share in found:
        within = failed[failed["step"].between(share.first_step, share.last_step)]
        assert share.failures == len(within)
        assert share.count == int((within["failure_mode"] == share.failure_mode).sum())
        assert share.share == pytest.approx(share.count / share.failures)


def test_errors_of_the_server_are_failures_that_no_rate_counts(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"step": 1, "prompt": "p", "golden": "4", "model_answer": ""}
    with Recorder(tmp_path) as recorder:
        recorder.log_preview(**asked, exact_match=False, failure_mode="empty")
        recorder.log_preview(**asked, failure_mode="server_error", error="HTTP 500")
        recorder.log_preview(**asked)
    with HistoryIndex(RunDir(tmp_path)) as index:
        index.refresh()
        cursor = index.cursor()
        found = aggregates.failure_modes(cursor, PreviewFilter())
        assert {share.failure_mode: share.count for share in found} == {
            "empty": 1,
            "server_error": 1,
        }
        assert aggregates.statistics(cursor, PreviewFilter()).overall == ExactMatchRate(0, 1)


@pytest.mark.parametrize("wanted", FILTERS)
@pytest.mark.parametrize("edges", [EDGES, (0,), (10, 60)])
def test_heatmap(
    cursor: Any, data: list[dict[str, Any]], wanted: PreviewFilter, edges: tuple[int, ...]
) -> None:
    known = scored(frame(data, wanted))
    lows = pd.cut(
        known["golden_tokens"], [-1, *(edge - 0.5 for edge in edges[1:]), math.inf], labels=edges
    )
    expected = {
        (pattern, low): rate(rows)
        for (pattern, low), rows in known.assign(low=lows.astype("Float64").fillna(-1)).groupby(
            ["pattern", "low"]
        )
    }
    found = aggregates.heatmap(cursor, wanted, edges)
    assert {(c.pattern, -1 if c.low is None else c.low): c.rate for c in found} == expected


@pytest.mark.parametrize("wanted", FILTERS)
def test_em_by_answer_length_and_by_ce(
    cursor: Any, data: list[dict[str, Any]], wanted: PreviewFilter
) -> None:
    known = scored(frame(data, wanted))
    for column, bins in (
        ("model_tokens", aggregates.em_by_answer_length(cursor, wanted)),
        ("ce", aggregates.em_by_ce(cursor, wanted)),
    ):
        finite = known[known[column].notna() & (known[column] != math.inf)]
        assert sum(each.rate.count for each in bins) == len(finite)
        for each in bins:
            below = math.inf if each.high is None else each.high
            within = finite[column].between(each.low, below, inclusive="left")
            assert each.rate == rate(finite[within])


def test_throughput_by_setting_fastest_first(cursor: Any) -> None:
    points = aggregates.throughput_points(cursor).drawn
    assert len(points) == 80
    expected = pd.DataFrame(
        [(p.batch_size, p.sequence_length, p.tokens_per_sec, p.vram_used_gb) for p in points],
        columns=["batch", "length", "speed", "vram"],
    ).groupby(["batch", "length"], dropna=False)
    found = aggregates.throughput_settings(cursor)
    assert [s.tokens_per_sec_median for s in found] == sorted(expected["speed"].median())[::-1]
    assert sum(s.samples for s in found) == 80


@pytest.mark.parametrize("limit", [1, 10, 41, 79])
def test_many_throughput_samples_are_thinned_evenly_and_counted(cursor: Any, limit: int) -> None:
    found = aggregates.throughput_points(cursor, limit=limit)
    steps = [point.step for point in found.drawn]
    every = [point.step for point in aggregates.throughput_points(cursor).drawn]
    assert (len(steps), found.total) == (limit, 80)
    assert steps[-1] == every[-1]
    gaps = {b - a for a, b in pairwise([every.index(step) for step in steps])}
    assert not gaps or max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("limit", [80, 81, 2_000])
def test_as_many_throughput_samples_as_may_be_are_all_there(cursor: Any, limit: int) -> None:
    found = aggregates.throughput_points(cursor, limit=limit)
    assert len(found.drawn) == found.total == 80


def test_only_known_columns_group(cursor: Any) -> None:
    with pytest.raises(ValueError, match="not one of"):
        aggregates.em_over_steps(cursor, PreviewFilter(), group="1; DROP TABLE x")  # type: ignore[arg-type]  # what a caller without types might pass
