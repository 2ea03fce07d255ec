"""Single values out of other people's JSON: each of its type, or named as what it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collectors.files.snapshots import SnapshotWatch
from collectors.json_values import (
    WrongTypeError,
    any_float,
    finite,
    flag,
    moment,
    not_negative,
    or_none,
    whole,
)
from control_room import RunDir

HUGE = 10**400  # JSON holds it, no float does


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (whole, 3, 3),
        (whole, 3.0, 3),
        (any_float, "Infinity", float("inf")),
        (finite, 2, 2.0),
        (not_negative, 0, 0.0),
        (flag, False, False),
        (moment, "2026-11-24T19:18:00+00:00", datetime(2026, 11, 24, 19, 18, tzinfo=UTC)),
    ],
)
def test_a_value_of_the_type_is_taken(
    read: Callable[[object], object], value: object, expected: object
) -> None:
    assert read(value) == expected
    assert or_none(read, value) == expected


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (whole, True),
        (whole, 2.5),
        (whole, -1),
        (whole, 2**63),
        (whole, "3"),
        (any_float, None),
        (finite, HUGE),
        (finite, float("nan")),
        (finite, "NaN"),
        (not_negative, -0.1),
        (flag, 1),
        (moment, 5),
        (moment, "yesterday"),
    ],
)
def test_one_of_another_type_is_refused_or_none(
    read: Callable[[object], object], value: object
) -> None:
    with pytest.raises(WrongTypeError):
        read(value)
    assert or_none(read, value) is None


def test_a_number_that_no_float_holds_costs_a_retention_index_nothing_else(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    file = run.retention_index_files[0]
    file.parent.mkdir(parents=True, exist_ok=True)
    entry = {"name": "a", "step": 5, "size_bytes": HUGE}
    file.write_text(json.dumps({"checkpoints": [entry]}))
    (checkpoint,) = SnapshotWatch(run).read().checkpoints
    assert (checkpoint.name, checkpoint.step, checkpoint.size_gb) == ("a", 5, None)
