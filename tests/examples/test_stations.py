"""A run of the demo, packed, imported into, packed again and exported.

No line is lost, and none is doubled.
"""

from __future__ import annotations

import io
import json
import signal
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet

from control_room import RunDir
from control_room.history import export
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex
from control_room.importing import Imported, import_files
from control_room.logs.day_parts import day_parts
from control_room.logs.retention import Form, carry_out, plan
from control_room.logs.schema import TABLES
from control_room.rundir import LOG_KINDS
from tests.examples.test_demo import demo
from tests.support import wait_until

IMPORTED = 7


def lines(run: RunDir) -> dict[str, int]:
    """How many there are in each kind's logs."""
    counts = {
        kind: sum(1 for part in day_parts(run, kind) for _ in part.lines()) for kind in LOG_KINDS
    }
    return {kind: count for kind, count in counts.items() if count}


def rows(index: HistoryIndex) -> dict[str, int]:
    """How many the history has of each kind, those that cannot be read included."""
    while index.refresh().more:
        pass
    cursor = index.cursor()
    counts = Counter(
        dict(cursor.execute("SELECT kind, count(*) FROM rejects GROUP BY 1").fetchall())
    )
    for table in TABLES.values():
        ((count,),) = cursor.execute(f"SELECT count(*) FROM {table.name}").fetchall()
        counts[table.kind] += count
    return {kind: count for kind, count in counts.items() if count}


def packed(run: RunDir, form: Form) -> None:
    """As a retention ten days from now does it."""
    today = datetime.now().astimezone().date() + timedelta(days=10)
    assert [carry_out(step).problem for step in plan(run, today, form=form)].count(None) > 0
    assert plan(run, today, form=form) == []


def inference_log(path: Path) -> Path:
    now = datetime.now().astimezone()
    file = path / "inference_20261124.log"
    told = [
        {
            "ts": (now - timedelta(milliseconds=number)).isoformat(),
            "step": number,
            "prompt": f"imported {number}",
            "golden": "g",
            "model_output": "a",
            "matches": False,
            "loss": 3.0,
        }
        for number in range(IMPORTED)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in told))
    return file


def exported(index: HistoryIndex) -> dict[str, int]:
    """How many previews each download has."""
    cursor, every = index.cursor(), PreviewFilter()
    csv = b"".join(export.csv_chunks(cursor, every))
    jsonl = b"".join(export.jsonl_chunks(cursor, every))
    parquet = b"".join(export.parquet_chunks(cursor, every))
    options = pyarrow.csv.ParseOptions(newlines_in_values=True)
    return {
        "csv": pyarrow.csv.read_csv(io.BytesIO(csv), parse_options=options).num_rows,
        "jsonl": len(jsonl.splitlines()),
        "parquet": pyarrow.parquet.read_table(io.BytesIO(parquet)).num_rows,
    }


def test_every_station_has_the_same_lines(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "demo")
    with demo(run.path) as (process, told):
        wait_until(
            lambda: (
                process.poll() is not None
                or (lines(run).get("metrics", 0) > 200 and lines(run).get("preview", 0) > 60)
            ),
            120,
            "two hundred steps and sixty previews",
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0, told.read_text()
    begun = lines(run)
    assert {"preview", "metrics", "throughput"} <= begun.keys()
    with HistoryIndex(run, database=run.cache / "followed.duckdb") as following:
        assert rows(following) == begun

        packed(run, "gzip")
        assert lines(run) == rows(following) == begun

        (imported,) = import_files([inference_log(tmp_path)], run)
        assert isinstance(imported, Imported) and imported.added == IMPORTED
        more = begun | {"preview": begun["preview"] + IMPORTED}
        assert lines(run) == rows(following) == more

        packed(run, "gzip")
        assert lines(run) == rows(following) == more
        packed(run, "parquet")
        assert lines(run) == rows(following) == more
        assert set(exported(following).values()) == {more["preview"]}

    with HistoryIndex(run) as anew:
        assert rows(anew) == more
        assert set(exported(anew).values()) == {more["preview"]}
