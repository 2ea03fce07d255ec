"""How long each analysis page takes to draw over a million previews.

The pages run as Streamlit runs them, without a browser; the first run, which loads libraries and
reads the logs, is not counted.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from streamlit.testing.v1 import AppTest

from app.settings import load_settings
from app.ui.current import serving
from app.watch.monitor import Monitor
from app.watch.run_history import HistoryNotReady
from bench.rows import Row, at_most
from control_room.rundir import RunDir

COUNT = 1_000_000
_EXAMPLES = 20_000
_PER_CHECKPOINT = 5_000
_SAMPLES = 4
_FILES = 300
_STEPS = 100_000
_START = datetime(2026, 1, 1, tzinfo=UTC)
_PAGES = Path(__file__).resolve().parent.parent / "pages"
_MEASURED = ("evals", "compare", "stability", "heads", "runs")
_REPEATS = 5
_LONGEST_S = 600.0


def measure() -> list[Row]:
    """The median time of each page."""
    with tempfile.TemporaryDirectory(prefix="control-room-bench-") as name:
        run = RunDir(Path(name) / "run")
        write_run(run, COUNT)
        monitor = Monitor(load_settings({"run_dir": str(run.path)}))
        monitor.start()
        try:
            _wait(monitor)
            with serving(monitor):
                return [
                    at_most(f"1 M: {page}", _draw_s(page), "s", 1.0)
                    for page in _MEASURED
                    if (_PAGES / f"{page}.py").exists()
                ]
        finally:
            monitor.stop()


def write_run(run: RunDir, count: int) -> None:
    """Previews of 20 000 examples over 200 checkpoints, metrics of 300 files, evals and heads."""
    day = _START.date()
    for kind, lines in (
        ("preview", _previews(count)),
        ("metrics", _metrics()),
        ("eval", _evals()),
        ("heads", _heads()),
    ):
        run.logs(kind).mkdir(parents=True)  # type: ignore[arg-type]  # these are kinds of logs
        with run.log_file(kind, day).open("w", encoding="utf-8") as file:  # type: ignore[arg-type]  # as above
            file.writelines(lines)


def _previews(count: int) -> Iterator[str]:
    rnd = random.Random(0)
    modes = ("wrong_content", "contract_violation", "repetition", "near_miss")
    checkpoints = max(1, count // _PER_CHECKPOINT)
    for number in range(count):
        place = number // _PER_CHECKPOINT
        sampled = number % 10 == 9
        example = rnd.randrange(200) if sampled else rnd.randrange(_EXAMPLES)
        right = rnd.random() < 0.2 + 0.6 * place / checkpoints
        ts = (_START + timedelta(milliseconds=50 * number)).isoformat(timespec="milliseconds")
        sure = rnd.random()
        told = (
            f'"confidence":{sure:.4f}'
            if number % 2
            else f'"token_log_probs":[{",".join(f"{-rnd.random():.3f}" for _ in range(8))}]'
        )
        pool = f'"samples","sample_index":{number // 10 % _SAMPLES}' if sampled else '"fixed_eval"'
        mode = "null" if right else f'"{rnd.choice(modes)}"'
        step = (place + 1) * _STEPS // checkpoints
        yield (
            f'{{"ts":"{ts}","step":{step},"checkpoint_id":"checkpoint-{step}",'
            f'"example_id":"ex_{example:05d}","dataset_id":"bench_v1","regime":"plain_sft",'
            f'"source_pool":{pool},"prompt":"Question {example} of the bench, in some more words?",'
            f'"golden":"{example}","model_answer":"{example if right else number % 7}",'
            f'"exact_match":{str(right).lower()},"normalized_match":{str(right).lower()},'
            f'"failure_mode":{mode},"pattern":"p{example % 6}",{told}}}\n'
        )


def _metrics() -> Iterator[str]:
    rnd = random.Random(1)
    for step in range(1, _STEPS + 1):
        ts = (_START + timedelta(milliseconds=500 * step)).isoformat(timespec="milliseconds")
        val = f',"val_loss":{2 + 100 / (step + 50):.4f}' if step % 500 == 0 else ""
        name = f"data_{step * _FILES // (_STEPS + 1):04d}.jsonl"
        yield (
            f'{{"ts":"{ts}","step":{step},"loss":{2 + 100 / (step + 50) + rnd.random() / 5:.4f}'
            f',"current_file":"{name}"{val}}}\n'
        )


def _evals() -> Iterator[str]:
    for step in range(500, _STEPS + 1, 500):
        ts = (_START + timedelta(milliseconds=500 * step)).isoformat(timespec="milliseconds")
        head = f'{{"ts":"{ts}","step":{step},"kind":"fixed"'
        yield f'{head},"em":{step / _STEPS / 1.2:.4f},"ce":1.5,"ece":0.1,"count":500}}\n'
        for domain in range(6):
            yield f'{head},"domain":"p{domain}","em":{step / _STEPS / 1.3:.4f},"count":80}}\n'


def _heads() -> Iterator[str]:
    rnd = random.Random(2)
    for step in range(1000, _STEPS + 1, 1000):
        ts = (_START + timedelta(milliseconds=500 * step)).isoformat(timespec="milliseconds")
        arrays = ",".join(
            f'"{name}":[{",".join(f"{rnd.random():.4f}" for _ in range(32 * 32))}]'
            for name in ("attention_entropy", "first_token_attention", "grad_norm", "weight_norm")
        )
        yield f'{{"ts":"{ts}","step":{step},"layers":32,"heads":32,{arrays}}}\n'


def _wait(monitor: Monitor) -> None:
    deadline = time.monotonic() + _LONGEST_S
    while time.monotonic() < deadline:
        try:
            monitor.history.cursor(wait_s=5)
        except HistoryNotReady:
            continue
        return
    raise TimeoutError("the history was not read in time")


def _draw_s(page: str) -> float:
    app = AppTest.from_file(str(_PAGES / f"{page}.py"), default_timeout=_LONGEST_S)
    app.run()
    times = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        app.run()
        times.append(time.perf_counter() - began)
    assert not app.exception, app.exception
    return statistics.median(times)
