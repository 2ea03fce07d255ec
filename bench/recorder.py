"""What a Recorder costs the training: time per call, calls per second, time to import.

Run with ``python -m bench.recorder``. Every call is timed alone, the clock's own cost included.
"""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter_ns
from typing import Any

from bench.rows import Row, as_table, at_least, at_most
from control_room import PreviewRecord, Recorder

_CALLS = 20_000
_STATUS_CALLS = 1_000
_IMPORTS = 30

# About 1.1 KB as a line, a usual size of a preview.
_PREVIEW: dict[str, Any] = {
    "step": 15_000,
    "checkpoint_id": "checkpoint-15000",
    "example_id": "syllo_001234",
    "dataset_id": "syllo_train_v3",
    "regime": "emoji_think",
    "source_pool": "fixed_eval",
    "prompt": "All men are mortal. Socrates is a man. What follows? " * 9,
    "golden": "Socrates is mortal",
    "model_answer": "🤔🤔🤔🤔\nSocrates is mortal 🛑🛑",
    "exact_match": True,
    "normalized_match": True,
    "failure_mode": None,
    "ce": 0.15,
    "prompt_tokens": 45,
    "golden_tokens": 8,
    "model_tokens": 8,
    "generation_time_ms": 120.0,
    "contract_status": {"emoji_prefix": True, "stop_emoji": True},
    "pattern": "syllogism",
}
_METRICS: dict[str, Any] = {
    "step": 15_000,
    "loss": 0.452,
    "learning_rate": 2e-4,
    "grad_norm": 0.8,
    "epoch": 2.3,
    "tokens_per_sec": 2450.0,
}
_THROUGHPUT: dict[str, Any] = {
    "step": 15_000,
    "tokens_per_sec": 2450.0,
    "vram_used_gb": 20.4,
    "batch_size": 16,
    "sequence_length": 2048,
}


def measure() -> list[Row]:
    """Time each kind of call on a recorder of its own, in the directory for temporary files."""
    with tempfile.TemporaryDirectory() as name, Recorder(Path(name, "run")) as recorder:
        return [
            *_rows("log_preview", lambda: recorder.log_preview(**_PREVIEW), 12.0, 100.0),
            *_rows(
                "log_preview, making the record",
                lambda: recorder.log_preview(PreviewRecord(**_PREVIEW)),
                20.0,
            ),
            *_rows("log_metrics", lambda: recorder.log_metrics(**_METRICS), 8.0),
            *_rows("log_throughput", lambda: recorder.log_throughput(**_THROUGHPUT), 20.0),
            *_rows(
                "update_status",
                lambda: recorder.update_status(current_step=15_000, loss=0.452),
                calls=_STATUS_CALLS,
            ),
            at_least("metric points stored in a row", _per_second(recorder), "records/s", 80_000),
            *_import_rows(),
        ]


def main() -> None:
    """Print the table."""
    print(as_table(measure()))


def _rows(
    name: str,
    call: Callable[[], None],
    p50_limit_us: float | None = None,
    p99_limit_us: float | None = None,
    *,
    calls: int = _CALLS,
) -> list[Row]:
    times_us = _times_us(call, calls)
    figures = (
        ("p50", median(times_us), p50_limit_us),
        ("p99", quantiles(times_us, n=100)[98], p99_limit_us),
    )
    rows = [
        Row(f"{name}, {what}", value, "µs")
        if limit is None
        else at_most(f"{name}, {what}", value, "µs", limit)
        for what, value, limit in figures
    ]
    return [*rows, Row(f"{name}, calls", 1e6 * calls / sum(times_us), "/s")]


def _times_us(call: Callable[[], None], calls: int) -> list[float]:
    for _ in range(calls // 10):
        call()
    gc.collect()
    times_us = []
    for _ in range(calls):
        begin = perf_counter_ns()
        call()
        times_us.append((perf_counter_ns() - begin) / 1e3)
    return times_us


def _per_second(recorder: Recorder) -> float:
    begin = perf_counter_ns()
    for step in range(_CALLS):
        recorder.log_metrics(step=step, loss=0.452)
    return 1e9 * _CALLS / (perf_counter_ns() - begin)


def _import_rows() -> list[Row]:
    """What the package costs, and what the first Recorder that is named costs."""
    package_ms, package_mb = _import_cost("import control_room")
    recorder_ms, recorder_mb = _import_cost("from control_room import Recorder")
    return [
        at_most("import control_room", package_ms, "ms", 20.0),
        at_most("import control_room, memory", package_mb, "MB", 5.0),
        Row("from control_room import Recorder", recorder_ms, "ms"),
        Row("from control_room import Recorder, memory", recorder_mb, "MB"),
    ]


def _import_cost(statement: str) -> tuple[float, float]:
    """Milliseconds and resident MiB: medians of fresh interpreters with compiled modules."""
    code = f"""
from time import perf_counter_ns as now
def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * {resource.getpagesize()} / 2**20
before_mb, begin = resident_mb(), now()
{statement}
print((now() - begin) / 1e6, resident_mb() - before_mb)
"""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        costs = [
            subprocess.check_output([sys.executable, "-c", code], env=environment).split()
            for _ in range(1 + _IMPORTS)
        ]
    times_ms, memory_mb = zip(*costs[1:], strict=True)
    return median(map(float, times_ms)), median(map(float, memory_mb))


if __name__ == "__main__":
    main()
