"""Columns: a block that is read at once gives what its lines give one by one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_room.logs.arrow_columns import Columns
from control_room.logs.schema import TABLES
from control_room.logs.tail import Block
from control_room.recording.records import MetricPoint, PreviewRecord, to_json_line

FILE = Path("day.jsonl")
PREVIEWS = Columns(TABLES["preview"])
METRICS = Columns(TABLES["metrics"])
PLAIN = {
    "ts": "2026-01-01T12:00:00.000+01:00",
    "step": 1,
    "prompt": "p",
    "golden": "g",
    "model_answer": "a",
}


def line(**fields: object) -> bytes:
    return json.dumps(PLAIN | fields, ensure_ascii=False).encode() + b"\n"


def raw(name: str, value: str) -> bytes:
    """A line with a value spelled out."""
    return line(**{name: "@"}).replace(b'"@"', value.encode())


def spelled(rows: Any) -> list[dict[str, str]]:
    """Rows in one spelling: flags have no order, NaN equals itself."""
    return [
        {name: repr(sorted(v) if name == "contract_status" and v else v) for name, v in row.items()}
        for row in rows.to_pylist()
    ]


def is_read_at_once(columns: Columns, data: bytes) -> bool:
    """Whether it is; if so, then right."""
    block = Block(FILE, 1, data, data.count(b"\n"))
    quick = columns.read_at_once(block)
    if quick is None:
        return False
    slow, rejects = columns.read_lines(block)
    assert rejects == []
    assert quick.schema == slow.schema
    assert spelled(quick) == spelled(slow)
    return True


@pytest.mark.parametrize(
    "data",
    [
        line(),
        line() + line(step=2, regime="plain_sft", ce=1, exact_match=True),
        line(contract_status={"a": True}) + line() + line(contract_status={"b": False, "a": True}),
        line(contract_status={}) + line(contract_status=None),
        line(contract_status={"a": None}),
        line(token_log_probs=[-0.1, 0, -2.5]) + line(token_log_probs=[]),
        line(regime="") + line(prompt="", golden="", model_answer=""),
        line(prompt='says "contract_status":{"x":1} and \n more \u0000 🛑'),
        line(anything={"deep": [1, {"x": None}]}) + line(anything=5),
        line(ts="2026-01-01 12:00:00.123456Z") + line(ts="2026-01-01T00:00-11:30"),
        line(ts="2026-01-02T00:00:00Z", step=2) + line(ts="2026-01-01T00:00:00Z", step=1),
    ],
)
def test_plain_blocks_are_read_at_once(data: bytes) -> None:
    assert is_read_at_once(PREVIEWS, data)


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\n",
        b"[1]\n",
        b"\n" + line(),
        line() + b"\n" + line(),
        line()[:-1] + line() + b"\n" + line(),
        line()[:-1] + b" \n",
        b'{"torn":"' + line(),
        line().replace(b'"p"', b'"\xff"'),
        line().replace(b'"p"', b'"\x00"'),
        line().replace(b'"p"', b'"\t"'),
        raw("regime", '"\\ud800"'),
        raw("ce", "NaN"),
        raw("ce", "Infinity"),
        raw("ce", '"NaN"'),
        raw("ce", "Inf"),
        raw("ce", "1e999"),
        raw("ce", "01"),
        line(ce="1"),
        line(ce=True),
        line(confidence=1.5),
        line(generation_time_ms=-1),
        line(step=-1),
        line(step=None),
        line(step=1.0),
        line(step=2**63),
        line(step=10**12 + 1),
        raw("step", '1, "step": 2'),
        line(exact_match=1),
        line(regime=5),
        line(contract_status={"a": 1}),
        line(contract_status={"a": {"b": True}}),
        line(contract_status=[True]),
        raw("contract_status", '{"a": true, "a": false}'),
        line(token_log_probs=[None]),
        line(token_log_probs=[[1.0]]),
        line(ts=None),
        line(ts=5),
        line(ts="2026-01-01T12:00:00"),
        line(ts="yesterday"),
        line(ts="0001-01-01T00:00:00+05:00"),
        line(ts="9999-12-31T23:59:59-05:00"),
    ],
)
def test_whatever_is_odd_is_left_to_the_careful_way(data: bytes) -> None:
    assert not is_read_at_once(PREVIEWS, data)
    assert not is_read_at_once(PREVIEWS, line() + data)


def test_a_large_block_is_read_at_once_when_it_is_plain_and_line_by_line_when_not() -> None:
    plain = b"".join(line(step=step) for step in range(1_000))
    rows, rejects = PREVIEWS.read(Block(FILE, 1, plain, 1_000))
    assert (rows.num_rows, rejects) == (1_000, [])
    rows, rejects = PREVIEWS.read(Block(FILE, 1, plain + b"bad\n" + line(), 1_002))
    assert (rows.num_rows, [reject.line_number for reject in rejects]) == (1_001, [1_001])


@pytest.mark.parametrize("name", ["anything", "contract_status", "token_log_probs"])
def test_a_deeply_nested_line_stops_nothing(name: str) -> None:
    deep = raw(name, "[" * 1_000_000 + "]" * 1_000_000)
    rows, rejects = PREVIEWS.read(Block(FILE, 1, line(step=1) + deep + line(step=2), 3))
    assert rows.num_rows + len(rejects) == 3


def test_nan_of_a_metric_is_kept() -> None:
    point = MetricPoint(step=1, loss=float("nan"), ts=datetime(2026, 1, 1, tzinfo=UTC))
    rows, rejects = METRICS.read(Block(FILE, 1, to_json_line(point, run_id="r", now=""), 1))
    assert rejects == []
    assert repr(rows.column("loss").to_pylist()) == "[nan]"


names = st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)
# Hypothesis knows that name from the code; a line that has it in a text takes the slow way.
texts = st.text(st.characters(codec="utf-8"), max_size=20).filter(
    lambda text: "contract_status" not in text
)
counts = st.none() | st.integers(0, 2**63 - 1)
numbers = st.none() | st.floats(0, allow_infinity=False)
records = st.builds(
    PreviewRecord,
    ts=st.datetimes(timezones=st.timezones()),
    step=st.integers(0, 10**12),
    regime=names,
    dataset_id=names,
    prompt=texts,
    golden=texts,
    model_answer=texts,
    exact_match=st.none() | st.booleans(),
    ce=numbers,
    prompt_tokens=counts,
    generation_time_ms=numbers,
    contract_status=st.none() | st.dictionaries(st.text('ab"\\é', max_size=3), st.booleans()),
    pattern=names,
    token_log_probs=st.none() | st.lists(st.floats(allow_nan=False, allow_infinity=False)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(records, min_size=1, max_size=6))
def test_what_a_recorder_writes_is_read_at_once_and_right(written: list[PreviewRecord]) -> None:
    lines = [to_json_line(record, run_id="run", now="") for record in written]
    plain = all(
        datetime(2, 1, 1, tzinfo=UTC) < r.ts < datetime(9998, 1, 1, tzinfo=UTC)
        for r in written
        if r.ts is not None
    )
    assert is_read_at_once(PREVIEWS, b"".join(lines)) or not plain


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["NaN", "2026-01-01T00:00:00Z", ""]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)
odd_lines = st.dictionaries(st.sampled_from([*TABLES["preview"].columns]), values, max_size=3).map(
    lambda fields: json.dumps(PLAIN | fields).encode() + b"\n"
)


@settings(max_examples=400, deadline=None)
@given(st.lists(odd_lines, min_size=1, max_size=3))
def test_no_block_is_read_at_once_and_wrong(lines: list[bytes]) -> None:
    is_read_at_once(PREVIEWS, b"".join(lines))
