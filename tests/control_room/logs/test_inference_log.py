"""A line of the daemon trainer's inference log: an answer, with the loss of its example."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from control_room.logs.inference_log import (
    INFERENCE_POOL,
    left_out_of,
    load_inference_line,
    parse_inference_line,
)
from tests.support import SHARED

# As that trainer writes it.
TOLD: dict[str, Any] = {
    "ts": "2026-11-23T13:32:25.592122+00:00",
    "step": 14700,
    "total_steps": 100000,
    "epoch": 2,
    "loss": 0.84,
    "lr": 0.0002,
    "batch_step": None,
    "current_file": "syllo_batch_042.jsonl",
    "system_prompt": "You are",
    "prompt": "All men are mortal.",
    "golden": "🤔🤔\nSocrates is mortal",
    "model_output": "🤔🤔\nSocrates is a man",
    "matches": False,
    "golden_output_length": 8,
    "model_output_length": 8,
    "layer_activity_summary": None,
}


def line(**changed: object) -> bytes:
    return json.dumps(TOLD | changed).encode() + b"\n"


def test_a_line_is_a_preview_of_an_example_of_the_data_file() -> None:
    preview = parse_inference_line(line())
    assert preview.ts == datetime(2026, 11, 23, 13, 32, 25, 592122, UTC)
    assert (preview.step, preview.dataset_id, preview.source_pool) == (
        14700,
        "syllo_batch_042",
        INFERENCE_POOL,
    )
    assert preview.prompt == TOLD["prompt"]
    assert (preview.golden, preview.model_answer) == (TOLD["golden"], TOLD["model_output"])
    assert preview.exact_match is False


def test_its_loss_keeps_its_own_name_and_is_no_cross_entropy() -> None:
    preview = parse_inference_line(line())
    assert (preview.example_loss, preview.ce) == (0.84, None)


def test_the_0_of_an_answer_before_the_first_step_is_no_loss() -> None:
    assert parse_inference_line(line(loss=0.0)).example_loss is None


def test_what_it_does_not_tell_stays_unknown() -> None:
    preview = parse_inference_line(line(loss=None, matches=None, current_file=None))
    assert (preview.example_loss, preview.exact_match, preview.dataset_id) == (None, None, None)


def test_lengths_that_may_be_tokens_or_characters_are_no_token_counts() -> None:
    preview = parse_inference_line(line())
    assert (preview.golden_tokens, preview.model_tokens) == (None, None)


def test_what_has_no_place_is_named() -> None:
    assert left_out_of(load_inference_line(line())) == [
        *("total_steps", "epoch", "lr", "system_prompt"),
        *("golden_output_length", "model_output_length"),
    ]


def test_a_line_after_a_torn_one_is_not_lost_with_it() -> None:
    assert parse_inference_line(line()[:90] + line(step=14750)).step == 14750


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        (line()[:40], "not a line of JSON"),
        (b"", "not a line of JSON"),
        (b"[]", "a JSON object"),
        (b"\xff\xfe", "not a line of JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (line(ts=None), "ts is missing"),
        (line(ts=12), "expected a time"),
        (line(ts="then"), "then"),
        (line(step="many"), "step"),
        (line(step=True), "step"),
        (line(prompt=5), "prompt"),
        (line(golden=None), "golden is missing"),
        (line(loss="low"), "example_loss"),
        (line(matches="yes"), "exact_match"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_such_line_is_refused_with_the_reason(broken: bytes, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        parse_inference_line(broken)


@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="needs ../shared/data")
def test_every_real_line_is_taken() -> None:
    lines = [
        each
        for log in sorted((SHARED / "data").rglob("inference_*.log"))
        for each in log.read_bytes().splitlines()
    ]
    previews = [parse_inference_line(each) for each in lines]
    assert [each.example_loss for each in previews] == [json.loads(each)["loss"] for each in lines]
    assert {each.dataset_id for each in previews} == {"syllo_batch_042", "math_add"}
