"""A run directory as somebody wrote it who wishes its readers ill: every field, every kind of file.

Nothing in it needs another machine, and nothing is large: what it tries is to be understood as more
than data.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from control_room import RunDir
from control_room.logs.schema import TABLES
from control_room.recording.fields import rules_of
from control_room.rundir import QUEUE_PRIORITIES

START = datetime(2026, 3, 1, tzinfo=UTC)
TEXTS: tuple[str, ...] = (
    "",
    "\0",
    "\ud800",
    "\u202eevil\u2066",
    "e" + "\u0301" * 500,
    "x" * 30_000,
    "[" * 3_000,
    "<script>document.title='run'</script>",
    "</pre></div><img src=http://192.0.2.1/x onerror=alert(1)>",
    "![x](http://192.0.2.1/x.png)",
    "[x](javascript:alert(1))",
    "$\\href{http://192.0.2.1}{x}$ :material/home: :red[x]",
    '=HYPERLINK("http://192.0.2.1")',
    "@SUM(1)",
    "-2+3",
    "\tcell",
    "'; DROP TABLE previews; --",
    "%s%n{}{0.__class__}${x}{{7*7}}",
    "../../../../etc/passwd",
    "a\r\nSet-Cookie: x=1\r\n\r\n",
    "\x1b[2J\x07",
    "NaN",
    "null",
    "1e999",
    "__proto__",
    "🤔" * 50,
)
NUMBERS: tuple[str, ...] = (
    *("0", "-1", "-0.0", "0.5", "5e-324", "1e308", "-1e308", "1e999", "-1e999", "NaN", "Infinity"),
    *('"NaN"', '"-Infinity"', "9223372036854775807", "9223372036854775808", "1" + "0" * 400),
    *('"12"', "true", "null", "[]", "{}", "[[[[1]]]]"),
)
TIMES: tuple[str, ...] = (
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "1969-12-31T23:59:59-23:59"),
    *("2026-02-30T00:00:00Z", "2026-03-01", "2999-01-01T00:00:00Z", "now", "infinity"),
    *("2026-03-01T00:00:00+24:00", "2026-03-01T00:00:00.123456789Z", "20260301T000000"),
)
_VALID = {
    "int": "3",
    "float": "0.5",
    "str": '"e"',
    "bool": "true",
    "datetime": '"2026-03-01T00:00:00Z"',
    "Mapping[str, bool]": '{"answer_start": true}',
    "Sequence[float]": "[0.5, 0.25]",
}
_BROKEN_LINES = (
    b"",
    b"[]",
    b"null",
    b"{",
    b"\xff\xfe\x00",
    b'{"ts":' * 2_000,
    b"[" * 100_000,
    b'{"step":1,"step":2}',
    b'{"ts":"2026-03-01T00:00:00Z","step":1,"prompt":"torn',
    b"\x00" * 1_000,
)


def record_hostile_run(path: Path) -> None:
    """Write it. A line for each field of each record with each of the values."""
    run = RunDir(path)
    for kind, table in TABLES.items():
        file = run.log_file(kind, START.date())
        file.parent.mkdir(parents=True)
        with file.open("wb") as log:
            for number, line in enumerate(_lines(table.record)):
                log.write(line + b"\n")
                if number % 50 == 0:
                    log.write(_BROKEN_LINES[number // 50 % len(_BROKEN_LINES)] + b"\n")
        _write_odd_names(file.parent, file.name)
    _write_status(run)
    _write_lists(run)


def _lines(record: type[Any]) -> Iterator[bytes]:
    rules = rules_of(record)
    valid = {name: _VALID[rule.kind] for name, rule in rules.items()}
    number = 0
    for name, rule in rules.items():
        for value in _values(rule.kind):
            number += 1
            at = (START + timedelta(seconds=number)).isoformat()
            fields = {**valid, "ts": f'"{at}"', "step": str(number), name: value}
            pairs = ",".join(f'"{key}":{text}' for key, text in fields.items())
            yield f"{{{pairs}}}".encode()


def _values(kind: str) -> tuple[str, ...]:
    texts = tuple(json.dumps(text) for text in TEXTS)
    if kind == "datetime":
        return (*(f'"{time}"' for time in TIMES), *texts[:8], *NUMBERS)
    if kind == "Mapping[str, bool]":
        return (*(f"{{{text}: true}}" for text in texts), '{"a": "b"}', '{"a": null}', *NUMBERS)
    if kind == "Sequence[float]":
        return (*(f"[{number}]" for number in NUMBERS), *texts[:8], *NUMBERS)
    return (*texts, *NUMBERS)


def _write_odd_names(directory: Path, like: str) -> None:
    stem = like.removesuffix(".jsonl")
    for name in ("=cmd().jsonl", f"{stem}.part-1.jsonl", f"{stem}.part99999999999999.jsonl"):
        (directory / name).write_text("{}\n")
    (directory / f"{stem.replace('2026', '2025')}.jsonl.gz").write_bytes(b"\x1f\x8b\x08\x00torn")
    (directory / f"{stem.replace('2026', '2024')}.jsonl.parquet").write_bytes(b"PAR1PAR1")
    (directory / f"{stem.replace('2026', '2023')}.jsonl").mkdir()
    for odd in (b"\xff\xfe.jsonl", b"\x1b[2J.jsonl", stem.encode() + b".part2\xff.jsonl"):
        with suppress(OSError):  # some file systems take UTF-8 alone
            Path(os.fsdecode(bytes(directory) + b"/" + odd)).write_text("{}\n")


def _write_status(run: RunDir) -> None:
    run.status_file.parent.mkdir(parents=True)
    names = ("model_name", "checkpoint_id", "current_file", "dataset_id", "run_id", "hostname")
    status: dict[str, Any] = {
        "status": "training",
        "phase": TEXTS[7],
        "current_step": 10,
        "total_steps": 100,
        "loss": "NaN",
        "learning_rate": 1e308,
        "config": {text: text for text in TEXTS},
        "active_alerts": [{"message": text, "severity": text, "type": text} for text in TEXTS],
        "recorder_errors": {text: text for text in TEXTS},
        "recorder_refused": {"counts": dict.fromkeys(TEXTS, 1), "reason": TEXTS[8]},
        "pattern_heatmap": {"rows": list(TEXTS), "cols": ["c"], "data": [[1e308]]},
        "fixed_eval": {"em": 2, "by_domain": dict.fromkeys(TEXTS, 0.5)},
        "fixed_eval_history": [[1, 2], "x", None],
        "throughput_vram_samples": [{"step": -1, "tokens_per_sec": "x"}, None, [], TEXTS[8]],
        "recent_snapshots": [{"date": text, "model_id": text, "tags": [text]} for text in TEXTS],
        "eta_overall_s": "9" * 400,
    }
    status.update(dict(zip(names, TEXTS[6:], strict=False)))
    run.status_file.write_text(json.dumps(status))
    run.control_state_file.parent.mkdir()
    run.control_state_file.write_text(json.dumps({"state": "paused", "reason": TEXTS[8]}))
    run.runner_state_file.write_text(
        json.dumps(dict.fromkeys(("state", "host", "error", "round_id", "message"), TEXTS[8]))
    )
    run.inference_logs.mkdir()
    (run.inference_logs / "inference_20260301.log").write_bytes(b"\xff\n{}\n" + b"[" * 5_000)


def _write_lists(run: RunDir) -> None:
    for priority in (*QUEUE_PRIORITIES, "processing", "failed"):
        run.queue(priority).mkdir(parents=True)  # type: ignore[arg-type]  # all are priorities
        for number, text in enumerate(TEXTS):
            name = text.replace("/", "_").replace("\0", "0").encode("utf-8", "replace")[:100]
            file = run.queue(priority) / f"{number}{name.decode('utf-8', 'ignore')}.jsonl"  # type: ignore[arg-type]
            file.write_text("{}\n")
    run.checkpoints.mkdir()
    run.retention_index_file.write_text(
        json.dumps(
            {
                "checkpoints": [
                    {"name": text, "step": text, "size_gb": text, "metrics": {"em": text}}
                    for text in TEXTS
                ],
                "snapshots": [{"date": text, "keep_until": text} for text in TEXTS],
                "keep_newest": -1,
                "best_checkpoint": {"path": TEXTS[18]},
            }
        )
    )
