import math
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.files.training.control_state import says_paused
from collectors.files.training.status_file import parse_status

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=10)
    | st.sampled_from(["training", "paused", "NaN", "2025-11-22T14:30:00", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
NAMES = st.sampled_from(
    [
        *("status", "phase", "is_training", "is_paused", "timestamp", "run_id", "pid", "hostname"),
        *(
            "started_at",
            "recorder_errors",
            "recorder_refused",
            "error_message",
            "error_type",
            "current_step",
            "loss",
        ),
        *("total_steps", "epoch", "learning_rate", "loss_trend", "throughput_trend", "model_name"),
        *("batch_step", "tokens_per_sec", "val_loss", "validation_loss", "eta_seconds", "other"),
    ]
)


@pytest.mark.parametrize("status", ["idle", "training", "paused", "completed", "crashed"])
def test_the_five_states_are_understood(status: str) -> None:
    assert parse_status({"status": status}).status == status


@pytest.mark.parametrize(
    ("flags", "status"),
    [
        ({"is_training": True, "is_paused": False}, "training"),
        ({"is_training": True, "is_paused": True}, "paused"),
        ({"is_training": False, "is_paused": False}, "idle"),
        ({"is_paused": False}, None),
        ({}, None),
    ],
)
def test_without_a_status_the_flags_of_older_writers_count(
    flags: dict[str, object], status: str | None
) -> None:
    assert parse_status(flags).status == status


@pytest.mark.parametrize("share", [-3, 1.01, "NaN"])
def test_an_exact_match_is_a_share(share: object) -> None:
    write = parse_status({"fixed_eval_em": share, "fixed_eval_step": 5})
    assert write.values == {"fixed_eval_step": 5}
    assert any("fixed_eval_em" in problem for problem in write.problems)
    assert parse_status({"fixed_eval_em": 1}).values == {"fixed_eval_em": 1.0}


def test_a_status_that_is_a_phase_is_training_in_that_phase() -> None:
    write = parse_status({"status": "evaluating"})
    assert (write.status, write.phase) == ("training", "evaluating")


def test_only_what_was_filled_is_told() -> None:
    write = parse_status({"status": "training", "loss": None, "model_name": "", "current_step": 7})
    assert write.values == {"current_step": 7}


def test_both_names_of_a_field_are_understood() -> None:
    values = parse_status({"validation_loss": 0.5, "checkpoint_id": "checkpoint-100"}).values
    assert values == {"val_loss": 0.5, "checkpoint_id": "checkpoint-100"}
    assert parse_status({"current_checkpoint_id": "a", "checkpoint_id": "b"}).values == {
        "checkpoint_id": "a"
    }


def test_zeros_of_an_ended_run_are_not_news() -> None:
    zeros = {"current_step": 0, "loss": 0.0, "epoch": 0, "learning_rate": 0.0, "total_steps": 0}
    assert parse_status({"status": "crashed", **zeros}).values == {}
    assert parse_status({"status": "completed", **zeros, "current_step": 9}).values == {
        "current_step": 9
    }
    assert parse_status({"status": "training", **zeros}).values == zeros


def test_zeros_of_this_projects_recorder_are_meant() -> None:
    told = {"status": "completed", "pid": 12, "learning_rate": 0.0}
    assert parse_status(told).values == {"learning_rate": 0.0}


@pytest.mark.parametrize(
    ("told", "trend"),
    [
        ("improving", "improving"),
        ("falling", "improving"),
        ("stable", "stable"),
        ("degrading", "rising"),
        ("Rising", "rising"),
        ("unknown", "unknown"),
        (-0.01, "improving"),
        (0.01, "rising"),
        (0, "stable"),
        (math.nan, "unknown"),
    ],
)
def test_a_loss_trend_is_a_word_or_a_slope(told: object, trend: str) -> None:
    assert parse_status({"loss_trend": told}).values == {"loss_trend": trend}


@pytest.mark.parametrize(
    ("told", "trend"),
    [
        ("stable", "normal"),
        ("normal", "normal"),
        ("degrading", "degraded"),
        ("falling", "degraded"),
        ("improving", "excellent"),
        ("rising", "excellent"),
    ],
)
def test_a_throughput_trend_is_a_word(told: str, trend: str) -> None:
    assert parse_status({"throughput_trend": told}).values == {"throughput_trend": trend}


def test_a_diverged_loss_is_kept() -> None:
    assert math.isnan(parse_status({"loss": math.nan}).values["loss"])
    assert parse_status({"loss": "Infinity"}).values["loss"] == math.inf


def test_a_time_has_a_zone_or_is_local() -> None:
    zoned = parse_status({"timestamp": "2025-11-22T14:30:00+01:00"})
    assert zoned.written_at == datetime.fromisoformat("2025-11-22T13:30:00+00:00").timestamp()
    assert parse_status({"timestamp": "2025-11-22T13:30:00Z"}).written_at == zoned.written_at
    local = parse_status({"timestamp": "2025-11-22T14:30:00"})
    assert local.written_at == datetime.fromisoformat("2025-11-22T14:30:00").timestamp()
    assert parse_status({"timestamp": 1763818200.5}).written_at == 1763818200.5


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("current_step", "15000", "current_step = '15000' is left out: expected a whole number"),
        ("current_step", -1, "current_step = -1 is left out"),
        ("current_step", True, "current_step = True is left out"),
        ("loss", [0.5], "loss = [0.5] is left out: expected a number"),
        ("loss", 10**400, "loss = "),
        ("model_name", {"a": 1}, "model_name = {'a': 1} is left out: expected a text"),
        ("loss_trend", "sideways", "expected one of improving, "),
        ("status", "sleeping", "expected one of idle, training, "),
        ("timestamp", "yesterday", "expected a time such as "),
        ("tokens_per_sec", math.inf, "expected a finite number"),
    ],
)
def test_a_field_of_the_wrong_type_is_named_and_left_out(
    name: str, value: object, says: str
) -> None:
    write = parse_status({name: value, "epoch": 2})
    assert write.values == {"epoch": 2.0}
    assert len(write.problems) == 1
    assert says in write.problems[0]


@given(st.dictionaries(NAMES | st.text(max_size=5), JSON))
def test_anything_is_parsed_into_what_can_go_out_again(told: dict[str, object]) -> None:
    write = parse_status(told)
    texts = [value for value in write.values.values() if isinstance(value, str)]
    for text in (*write.problems, *texts, write.error_message or "", str(write.writer)):
        text.encode()


@pytest.mark.parametrize(
    ("control", "paused"),
    [
        ({"status": "paused", "paused_at": "2025-11-24T10:25:00"}, True),
        ({"status": "training", "paused_at": None}, False),
        ({"state": "paused"}, True),
        ({"paused": True}, True),
        ({"is_paused": False}, False),
        ({"status": 3}, None),
        ({}, None),
    ],
)
def test_a_pause_is_told_by_the_control_state(
    control: dict[str, object], paused: bool | None
) -> None:
    assert says_paused(control) is paused
