"""What editors are told of the Recorder's methods is what the records and the status hold."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from pathlib import Path
from typing import Any, SupportsFloat, SupportsIndex, get_args, get_type_hints, is_typeddict

import pytest

from control_room import (
    EvalRecord,
    HeadRecord,
    MetricPoint,
    PreviewRecord,
    RoundRecord,
    ThroughputSample,
)
from control_room.recording import field_types
from control_room.recording.closed_words import Phase, RoundKind, RoundOutcome, RunStatus
from control_room.recording.field_types import Flag
from control_room.recording.metrics import LIVE
from control_room.recording.records import Record
from tests.support import ROOT

OF_RECORDS: dict[type[Record], Any] = {
    PreviewRecord: field_types.PreviewFields,
    ThroughputSample: field_types.ThroughputFields,
    MetricPoint: field_types.MetricFields,
    EvalRecord: field_types.EvalFields,
    RoundRecord: field_types.RoundFields,
}
# What a field of a record holds, and what a call takes for it.
TAKES = {
    "int": SupportsIndex,
    "float": SupportsFloat,
    "str": str,
    "bool": Flag,
    "datetime": datetime | str,
    "Mapping[str, bool]": Mapping[str, Flag],
    "Sequence[float]": Iterable[SupportsFloat],
}
# Texts of which a call takes these alone.
WORDS = {
    ("RoundRecord", "kind"): RoundKind,
    ("RoundRecord", "outcome"): RoundOutcome,
}
FILLED_IN = {"run_id", "hostname", "pid", "started_at", "timestamp"}
FILLED_IN |= {"recorder_errors", "recorder_refused"}


@pytest.mark.parametrize("record", OF_RECORDS, ids=lambda record: record.__name__)
def test_the_fields_of_a_call_are_those_of_the_record(record: type[Record]) -> None:
    expected = {}
    for field in fields(record):
        kind = str(field.type).removesuffix(" | None")
        takes: Any = WORDS.get((record.__name__, field.name), TAKES[kind])
        expected[field.name] = takes if field.default is MISSING else takes | None
    assert get_type_hints(OF_RECORDS[record]) == expected


@pytest.mark.parametrize("record", OF_RECORDS, ids=lambda record: record.__name__)
def test_a_call_needs_what_the_record_needs(record: type[Record]) -> None:
    needed = {field.name for field in fields(record) if field.default is MISSING}
    assert needed == {name for name, takes in _declared(record).items() if "Required" in takes}


def _declared(record: type[Record]) -> dict[str, str]:
    assert is_typeddict(OF_RECORDS[record])
    return {
        name: takes.__forward_arg__ for name, takes in OF_RECORDS[record].__annotations__.items()
    }


def test_heads_are_those_of_the_record() -> None:
    arrays = {field.name for field in fields(HeadRecord) if "Sequence" in str(field.type)}
    assert set(get_type_hints(field_types.HeadFields)) == {"step", *arrays}


def test_the_fields_of_the_status_are_those_of_the_documentation() -> None:
    section = (ROOT / "docs/DATA.md").read_text().split("| `run_id`, `hostname`", 1)[1]
    rows = ("| `run_id`, `hostname`" + section).split("\n\n", 1)[0].splitlines()
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    metrics = {name for metric in LIVE for name in (metric.name, *metric.status_names)}
    keywords = inspect.signature(field_types.UpdateStatus.__call__).parameters
    assert set(keywords) - {"self", "others"} == documented - FILLED_IN | metrics


def test_mypy_takes_and_refuses_what_it_should() -> None:
    file = Path(__file__).with_name("typed_calls.py")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", str(file.relative_to(ROOT))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_program_that_records_loads_none_of_it() -> None:
    code = "import sys; from control_room import Recorder; print('field_types' in str(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_words_are_written_down_once() -> None:
    from control_room.recording.status_file import PHASES, RUN_STATES

    assert (get_args(RunStatus), get_args(Phase)) == (RUN_STATES, PHASES)
