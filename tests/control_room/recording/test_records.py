"""Records check themselves, and survive the way through a log line."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_room import MetricPoint, PreviewRecord, ThroughputSample
from control_room.recording.records import (
    Record,
    after_torn_line,
    fields_to_json_line,
    parse_line,
    to_json_line,
)

NOW = "2025-11-22T14:30:00.000+01:00"
LEAST: dict[str, Any] = {"step": 7, "prompt": "p", "golden": "g", "model_answer": "a"}

DAEMON_TRAINER_LINE = """{
  "ts": "2025-11-22T14:30:00", "step": 15000, "checkpoint_id": "checkpoint-15000",
  "example_id": "syllo_001234", "dataset_id": "syllo_train_v3", "regime": "emoji_think",
  "source_pool": "fixed_eval", "prompt": "All men are mortal...", "golden": "Socrates is mortal",
  "model_answer": "Socrates is mortal", "exact_match": true, "normalized_match": true,
  "failure_mode": null, "ce": 0.15, "prompt_tokens": 45, "golden_tokens": 8, "model_tokens": 8,
  "generation_time_ms": 120, "contract_status": {"emoji_prefix": true, "stop_emoji": true}
}"""


def line_of(record: Record) -> dict[str, Any]:
    parsed = json.loads(to_json_line(record, run_id="r", now=NOW), parse_constant=pytest.fail)
    assert isinstance(parsed, dict)
    return parsed


class TestTheLine:
    def test_has_the_daemon_trainers_fields_in_its_order_and_null_for_the_unknown(self) -> None:
        line = line_of(PreviewRecord(**LEAST))
        wanted = list(json.loads(DAEMON_TRAINER_LINE))
        assert list(line)[: len(wanted)] == wanted
        assert line["ce"] is None and line["contract_status"] is None

    def test_leaves_out_optional_extras_that_are_unknown(self) -> None:
        assert list(line_of(PreviewRecord(**LEAST)))[-1] == "run_id"
        assert list(line_of(MetricPoint(step=1, loss=0.5))) == ["ts", "step", "loss", "run_id"]

    def test_the_record_s_own_run_and_time_come_before_the_recorders(self) -> None:
        ts = datetime(2025, 1, 2, 3, 4, 5, 678_999, tzinfo=timezone(timedelta(hours=-3)))
        line = line_of(MetricPoint(step=1, run_id="mine", ts=ts))
        assert (line["run_id"], line["ts"]) == ("mine", "2025-01-02T03:04:05.678-03:00")
        line = line_of(MetricPoint(step=1))
        assert (line["run_id"], line["ts"]) == ("r", NOW)

    def test_is_one_line_whatever_the_text_holds(self) -> None:
        text = 'a\nb\r\n\x00"\\\u2028 ünï 🤔'
        data = to_json_line(PreviewRecord(**LEAST | {"prompt": text}), run_id="r", now=NOW)
        assert data.count(b"\n") == 1 and data.endswith(b"}\n")
        assert json.loads(data)["prompt"] == text
        assert "🤔".encode() in data

    def test_a_surrogate_without_partner_becomes_the_replacement_character(self) -> None:
        assert line_of(PreviewRecord(**LEAST | {"prompt": "a\ud83eb"}))["prompt"] == "a\ufffdb"
        assert line_of(PreviewRecord(**LEAST | {"prompt": "\ud83e\udd14"}))["prompt"] == "🤔"

    @pytest.mark.parametrize(
        ("value", "written"),
        [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")],
    )
    def test_what_is_no_number_is_valid_json_and_comes_back(
        self, value: float, written: str
    ) -> None:
        point = MetricPoint(step=1, loss=value)
        assert line_of(point)["loss"] == written
        assert repr(parse_line(MetricPoint, to_json_line(point, run_id="r", now=NOW)).loss) == repr(
            value
        )
        preview = PreviewRecord(**LEAST, ce=value, token_log_probs=[-0.5, value])
        assert line_of(preview)["token_log_probs"] == [-0.5, written]

    def test_is_the_same_from_a_record_and_from_its_fields(self) -> None:
        fields = LEAST | {"ce": math.nan, "contract_status": {"a": True}, "confidence": 1}
        assert fields_to_json_line(PreviewRecord, fields, run_id="r", now=NOW) == to_json_line(
            PreviewRecord(**fields), run_id="r", now=NOW
        )


class TestChecks:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("step", -1),
            ("step", True),
            ("step", 1.0),
            ("step", "1"),
            ("step", 2**63),
            ("step", 10**12 + 1),
            ("step", None),
            ("prompt", None),
            ("prompt", b"bytes"),
            ("regime", ""),
            ("run_id", ""),
            ("exact_match", 1),
            ("exact_match", "true"),
            ("ce", "0.5"),
            ("ce", True),
            ("confidence", 1.01),
            ("confidence", -0.1),
            ("generation_time_ms", -5),
            ("generation_time_ms", -math.inf),
            ("prompt_tokens", -1),
            ("contract_status", {"a": 1}),
            ("contract_status", {1: True}),
            ("contract_status", ["a"]),
            ("token_log_probs", "abc"),
            ("token_log_probs", [0.1, "x"]),
            ("ts", "yesterday"),
            ("ts", 1_700_000_000.0),
            ("ts", datetime(2025, 1, 1).date()),  # noqa: DTZ001  # a date has no zone anyway
            ("step", np.array([1, 2])),
        ],
    )
    def test_a_bad_value_is_refused_naming_class_and_field(self, field: str, value: object) -> None:
        with pytest.raises(ValueError, match=rf"^PreviewRecord\.{field}\b.*expected"):
            PreviewRecord(**LEAST | {field: value})
        with pytest.raises(ValueError, match=rf"^PreviewRecord\.{field}\b.*expected"):
            fields_to_json_line(PreviewRecord, LEAST | {field: value}, run_id="r", now=NOW)

    def test_an_unknown_field_is_refused_with_the_nearest_name(self) -> None:
        with pytest.raises(ValueError, match="no field 'promt'; did you mean 'prompt'"):
            fields_to_json_line(PreviewRecord, LEAST | {"promt": "x"}, run_id="r", now=NOW)
        with pytest.raises(ValueError, match="no field 'promt'"):
            fields_to_json_line(PreviewRecord, LEAST | {"promt": None}, run_id="r", now=NOW)

    def test_a_missing_field_is_named(self) -> None:
        with pytest.raises(ValueError, match=r"ThroughputSample\.tokens_per_sec is missing"):
            fields_to_json_line(ThroughputSample, {"step": 1}, run_id="r", now=NOW)

    def test_a_long_bad_value_is_not_shown_whole(self) -> None:
        with pytest.raises(ValueError) as caught:
            PreviewRecord(**LEAST, regime=["x" * 10_000])  # type: ignore[arg-type]  # meant
        assert len(str(caught.value)) < 250

    def test_scalars_of_numpy_are_taken_for_what_they_stand_for(self) -> None:
        record = PreviewRecord(
            **LEAST | {"step": np.int64(7)},
            ce=np.float32(0.5),  # type: ignore[arg-type]  # what a trainer passes
            exact_match=np.bool_(True),  # type: ignore[arg-type]  # likewise
            token_log_probs=np.array([-0.5, -1.0]),  # type: ignore[arg-type]  # likewise
        )
        assert record == PreviewRecord(
            **LEAST, ce=0.5, exact_match=True, token_log_probs=(-0.5, -1.0)
        )
        assert type(record.step) is int and type(record.ce) is float

    def test_time_without_a_zone_is_local(self) -> None:
        naive = datetime(2025, 7, 1, 12)  # noqa: DTZ001  # the point of the test
        assert MetricPoint(step=1, ts=naive).ts == naive.astimezone()

    def test_empty_texts_are_kept_where_they_are_answers(self) -> None:
        assert PreviewRecord(step=1, prompt="", golden="", model_answer="").model_answer == ""


class TestReading:
    def test_a_line_of_the_daemon_trainer(self) -> None:
        record = PreviewRecord.from_mapping(json.loads(DAEMON_TRAINER_LINE))
        assert record.generation_time_ms == 120.0
        assert record.contract_status == {"emoji_prefix": True, "stop_emoji": True}
        assert record.ts == datetime(2025, 11, 22, 14, 30).astimezone()

    def test_unknown_fields_are_ignored_and_empty_names_are_none(self) -> None:
        line = {"ts": "2025-11-22T14:30:00Z", "step": 1, "loss": 0.5, "new": [1], "run_id": ""}
        assert MetricPoint.from_mapping(line) == MetricPoint(
            step=1, loss=0.5, ts=datetime(2025, 11, 22, 14, 30, tzinfo=UTC)
        )

    @pytest.mark.parametrize(
        ("line", "named"),
        [
            ('{"step": 1}', r"MetricPoint\.ts is missing"),
            ('{"step": 1, "ts": null}', r"MetricPoint\.ts is missing"),
            ('{"step": 1, "ts": "yesterday"}', r"MetricPoint\.ts"),
            ('{"step": 1, "ts": 5}', r"MetricPoint\.ts"),
            (f'{{"ts": "{NOW}"}}', r"MetricPoint\.step is missing"),
            (f'{{"ts": "{NOW}", "step": "1"}}', r"MetricPoint\.step"),
            (f'{{"ts": "{NOW}", "step": 1, "loss": "low"}}', r"MetricPoint\.loss"),
            (f'{{"ts": "{NOW}", "st', "not a line of JSON"),
            ("", "not a line of JSON"),
            ("[1]", "expected a JSON object"),
            ("\udcff", "not a line of JSON"),
        ],
    )
    def test_a_bad_line_is_refused_saying_why(self, line: str, named: str) -> None:
        with pytest.raises(ValueError, match=named):
            parse_line(MetricPoint, line.encode(errors="surrogateescape"))

    def test_a_record_behind_another_writers_torn_line_is_read(self) -> None:
        torn = to_json_line(PreviewRecord(**LEAST), run_id="r", now=NOW)[:-20]
        whole = to_json_line(
            PreviewRecord(**LEAST | {"prompt": 'about {"ts":"x"}'}), run_id="r", now=NOW
        )
        assert after_torn_line(torn + whole) == whole
        assert after_torn_line(b"nothing") == b"nothing"
        assert parse_line(PreviewRecord, torn + whole) == parse_line(PreviewRecord, whole)


names = st.none() | st.text(min_size=1, max_size=20).filter(lambda t: t.isprintable())
texts = st.text(max_size=200)
counts = st.none() | st.integers(0, 2**63 - 1)
numbers = st.none() | st.floats(allow_nan=False)
positive = st.none() | st.floats(min_value=0, allow_nan=False)
zones = st.timezones() | st.just(UTC)
times = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=zones)  # noqa: DTZ001


@given(
    fields=st.fixed_dictionaries(
        {"step": st.integers(0, 10**12), "prompt": texts, "golden": texts, "ts": times}
        | {"model_answer": texts, "exact_match": st.none() | st.booleans(), "ce": numbers}
        | dict.fromkeys(("regime", "run_id", "pattern", "failure_mode", "example_id"), names)
        | dict.fromkeys(("prompt_tokens", "model_tokens", "sample_index"), counts)
        | dict.fromkeys(("generation_time_ms", "temperature"), positive)
        | {"confidence": st.none() | st.floats(0, 1)}
        | {"contract_status": st.none() | st.dictionaries(texts, st.booleans(), max_size=3)}
        | {"token_log_probs": st.none() | st.lists(st.floats(allow_nan=False), max_size=5)}
    )
)
def test_every_preview_survives_its_line(fields: dict[str, Any]) -> None:
    record = PreviewRecord(**fields)
    back = parse_line(PreviewRecord, to_json_line(record, run_id="r", now=NOW))
    written = record.ts
    assert written is not None and back.ts is not None
    assert timedelta(0) <= written - back.ts < timedelta(milliseconds=1)
    assert {**_values(back), "ts": None} == {
        **_values(record),
        "ts": None,
        "run_id": record.run_id or "r",
    }


@given(
    step=st.integers(0, 10**12),
    loss=st.floats(),
    learning_rate=numbers,
    tokens=counts,
    epoch=positive,
)
def test_every_metric_point_survives_its_line(**fields: Any) -> None:
    point = MetricPoint(**fields)
    back = parse_line(MetricPoint, to_json_line(point, run_id="r", now=NOW))
    assert {name: repr(getattr(back, name)) for name in fields} == {
        name: repr(value) for name, value in fields.items()
    }


def _values(record: PreviewRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}
