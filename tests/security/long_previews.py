"""Histories with texts of any size, the memory that an export of them takes, and one that fails.

``python -m tests.security.long_previews peak RUN LIMIT_MB KIND`` writes as JSON what an export
takes in a process of its own; ``… failing APP_ARGUMENTS`` serves the app with exports that fail.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from control_room import RunDir
from control_room.history import export
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex

START = datetime(2026, 1, 1, tzinfo=UTC)
LOG = "preview_history_2026-01-01.jsonl"


def write_log(run_dir: Path, previews: Sequence[dict[str, Any]]) -> RunDir:
    """A run whose log of the day holds these, a second apart."""
    run = RunDir(run_dir)
    logs = run.logs("preview")
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / LOG).open("a", encoding="utf-8") as file:
        for step, preview in enumerate(previews):
            told = {"ts": (START + timedelta(seconds=step)).isoformat(), "step": step}
            texts = {"prompt": "p", "golden": "g", "model_answer": "a"}
            file.write(json.dumps({**told, **texts, **preview}) + "\n")
    return run


def read_all(index: HistoryIndex) -> None:
    while index.refresh().more:
        pass


def add_enormous(index: HistoryIndex, texts: Sequence[str]) -> None:
    """Rows that no log brings, as its lines have a limit: ``texts`` are SQL for their prompts."""
    cursor = index.cursor()
    for place, text in enumerate(texts, start=1):
        cursor.execute(
            "INSERT INTO previews BY NAME SELECT (SELECT count(*) + 1 FROM previews) AS seq, "
            f"TIMESTAMP '2026-02-01' + INTERVAL {place} SECOND AS ts, {place} AS step, "
            f"{text} AS prompt, 'g' AS golden, 'a' AS model_answer, strlen(prompt) AS size_bytes, "
            f"'' AS search, '{LOG}' AS file, {1_000_000 + place} AS line"
        )


def database(run: RunDir) -> Path:
    return run.cache / "history.duckdb"


def _peak(run_dir: str, limit_mb: str, kind: str) -> None:
    chunks = getattr(export, f"{kind}_chunks")
    run = RunDir(Path(run_dir))
    with HistoryIndex(run, database=database(run), memory_limit_mb=int(limit_mb)) as index:
        list(chunks(index.cursor(), step_is_none()))
        before = _status_mb("VmRSS")
        size = sum(map(len, chunks(index.cursor(), PreviewFilter())))
        told = {"before_mb": before, "peak_mb": _status_mb("VmHWM"), "bytes": size}
        sys.stdout.write(json.dumps(told))


def step_is_none() -> PreviewFilter:
    """Matches nothing: what is loaded once is loaded, and no row is read."""
    return PreviewFilter(min_step=10**15)


def _status_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def _failing(arguments: Sequence[str]) -> int:
    from app.__main__ import main

    export._WINDOW_BYTES = 100_000
    whole = export._rows
    asked: Iterator[int] = iter(range(10**9))

    def rows(*given: Any) -> Any:
        if next(asked) % 3 == 2:
            raise RuntimeError("the disk went away")
        return whole(*given)

    setattr(export, "_rows", rows)  # noqa: B010 (of a function that mypy knows)
    return main(arguments)


if __name__ == "__main__":
    if sys.argv[1] == "failing":
        sys.exit(_failing(sys.argv[2:]))
    _peak(*sys.argv[2:])
