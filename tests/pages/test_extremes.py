"""Whatever the logs hold, no page shows a traceback: the largest steps, NaN, huge and odd texts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.watch.monitor import Monitor
from control_room import RunDir
from control_room.logs.schema import TABLES
from control_room.recording.fields import MAX_STEP
from control_room.recording.records import fields_to_json_line
from control_room.rundir import LogKind
from tests.pages.opened import watching_run
from tests.support import ROOT

LARGE = 2**63 - 1
STEPS = (0, 1, 2, 10**6, MAX_STEP)
NUMBERS = (0.0, -0.0, 5e-324, 1.7e308, -1.7e308, math.nan, math.inf, -math.inf, 1.0)
TEXTS = (
    "",
    "\0",
    "\u202e" * 40,
    "x" * 30_000,
    "<script>",
    "[" * 2_000,
    "%s{}{{0}}",
    "🤔",
)
PAGES = ("live", "previews", "analytics", "evals", "compare", "stability", "heads", "runs")


def put(run: RunDir, kind: LogKind, number: int, /, **fields: Any) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=7 * number)
    line = fields_to_json_line(
        TABLES[kind].record, fields, run_id="run", now=at.isoformat(timespec="milliseconds")
    )
    file = run.log_file(kind, at.date())
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as log:
        log.write(line)


def record(run: RunDir) -> None:
    """Every kind of record at its limits, and lines that are none."""
    for number in range(60):
        step, value = STEPS[number % len(STEPS)], NUMBERS[number % len(NUMBERS)]
        text = TEXTS[number % len(TEXTS)]
        name = text or None
        of_preview: dict[str, Any] = {
            "step": step,
            "checkpoint_id": name,
            "example_id": f"e{number % 4}",
            "dataset_id": name,
            "regime": name,
            "source_pool": "samples" if number % 7 == 0 else name,
            "pattern": name,
            "failure_mode": name,
        }
        put(
            run,
            "preview",
            number,
            **of_preview,
            prompt=text,
            golden=text,
            model_answer=text[::-1],
            exact_match=(None, True, False)[number % 3],
            ce=value,
            golden_tokens=(0, 1, LARGE)[number % 3],
            model_tokens=(LARGE, 0, 1)[number % 3],
            prompt_tokens=LARGE,
            sample_index=(0, 1, LARGE)[number % 3],
            confidence=(0.0, 1.0, 0.5)[number % 3],
            token_log_probs=[value] * (number % 3),
            generation_time_ms=abs(value) if value == value else 0.0,
            contract_status={text: True, "other": False},
        )
        put(run, "metrics", number, step=step, loss=value, val_loss=value, grad_norm=value)
        put(run, "eval", number, step=step, kind="fixed", em=0.5, ce=value, loss=value, count=LARGE)
        put(run, "eval", number, step=step, kind="fixed", domain=name or "d", em=1.0, count=0)
        put(
            run,
            "throughput",
            number,
            step=step,
            tokens_per_sec=abs(value) if value == value else 0.0,
            vram_used_gb=1e300,
            batch_size=LARGE,
            sequence_length=0,
        )
        put(run, "note", number, text=name or "n", step=step)
        put(
            run,
            "heads",
            number,
            step=step,
            layers=2,
            heads=2,
            attention_entropy=[value] * 4,
            weight_norm=[value] * 3,
        )
    for kind in TABLES:
        for first in sorted(run.logs(kind).glob("*.jsonl"))[:1]:
            with first.open("ab") as log:
                log.write(b'{"ts":"9999-12-31T23:59:59Z","step":9223372036854775807}\n[]\n\xff\n')
    run.status_file.parent.mkdir(parents=True)
    status = {
        "status": "training",
        "current_step": MAX_STEP,
        "loss": "NaN",
        "model_name": TEXTS[2],
        "current_file": TEXTS[3],
        "pattern_heatmap": {"rows": ["r"], "cols": ["c"], "data": [[1e308]]},
        "fixed_eval_history": [[LARGE, 1e308]],
    }
    run.status_file.write_text(json.dumps(status))


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitor]:
    path = tmp_path_factory.mktemp("extremes") / "run"
    record(RunDir(path))
    with watching_run(path) as started:
        yield started


@pytest.mark.parametrize("name", PAGES)
def test_no_page_shows_a_traceback(watching: Monitor, name: str) -> None:
    page = AppTest.from_file(Path(ROOT) / "pages" / f"{name}.py", default_timeout=120).run()
    assert not page.exception, [each.message for each in page.exception]
    assert not page.error, [each.value for each in page.error]


def test_what_is_no_record_is_counted(watching: Monitor) -> None:
    rows = watching.history.cursor().execute("SELECT count(*) FROM rejects").fetchall()
    assert rows[0][0] >= 3 * 6
