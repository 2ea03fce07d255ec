"""Speed and memory as the trainer's status tells them, where there is no throughput log."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from app.watch.monitor import Monitor
from collectors.files.training import TrainingReading
from collectors.files.training.reported import ToldSample
from control_room.history.questions.aggregates import (
    ThroughputPoint,
    ThroughputPoints,
    ThroughputSetting,
)
from control_room.logs.day_parts import day_files


def told_samples(monitor: Monitor) -> tuple[ToldSample, ...]:
    """The samples of the run's status, newest last; none where a throughput log tells more."""
    reading: TrainingReading | None = monitor.sources["training"].reading
    if reading is None or not reading.throughput_samples:
        return ()
    try:
        has_log = any(day_files(monitor.settings.run, "throughput"))
    except OSError:
        has_log = False  # what cannot be read tells nothing
    return () if has_log else reading.throughput_samples


def points_told(samples: Sequence[ToldSample]) -> ThroughputPoints:
    """The samples as the chart of a throughput log has them."""
    points = tuple(
        ThroughputPoint(
            each.step,
            each.tokens_per_sec,
            each.vram_used_gb,
            each.vram_pct,
            each.batch_size,
            each.sequence_length,
        )
        for each in samples
    )
    return ThroughputPoints(points, len(points))


def settings_told(samples: Sequence[ToldSample]) -> list[ThroughputSetting]:
    """What each batch size and sequence length gave, the fastest first."""
    by_setting: dict[tuple[int | None, int | None], list[ToldSample]] = {}
    for each in samples:
        by_setting.setdefault((each.batch_size, each.sequence_length), []).append(each)
    found = [
        ThroughputSetting(
            *setting,
            len(own),
            statistics.median(each.tokens_per_sec for each in own),
            max((e.vram_used_gb for e in own if e.vram_used_gb is not None), default=None),
            max((e.vram_pct for e in own if e.vram_pct is not None), default=None),
        )
        for setting, own in by_setting.items()
    ]
    return sorted(found, key=lambda setting: -setting.tokens_per_sec_median)
