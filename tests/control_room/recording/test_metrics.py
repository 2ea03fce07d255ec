"""The table of training metrics and what cannot follow from it."""

from __future__ import annotations

from dataclasses import fields
from inspect import get_annotations

import pytest

from app.views.models import LiveStatus
from collectors.files.training import TrainingReading
from control_room.recording.metrics import LIVE, LOGGED, METRICS
from control_room.recording.records import MetricPoint

# What a metric point has beside its metrics.
_NO_METRICS = {"ts", "step", "run_id", "tokens", "current_file"}


def test_a_metric_point_has_the_logged_metrics_and_no_other_numbers() -> None:
    assert {field.name for field in fields(MetricPoint)} - _NO_METRICS == {m.name for m in LOGGED}


@pytest.mark.parametrize("name", [metric.name for metric in LIVE])
def test_the_reading_and_the_live_view_have_each_live_metric(name: str) -> None:
    assert name in TrainingReading.__dataclass_fields__
    assert name in LiveStatus.model_fields


def test_the_reading_spells_out_those_that_are_marked_so() -> None:
    spelled_out = {metric.name for metric in LIVE} & get_annotations(TrainingReading).keys()
    assert spelled_out == {metric.name for metric in LIVE if metric.own_line}


def test_the_unit_of_what_is_logged_stands_with_its_field_alone() -> None:
    assert all(metric.unit == "" for metric in LOGGED)


def test_names_stand_for_one_metric_each() -> None:
    for names in (
        [metric.name for metric in METRICS],
        [metric.prometheus for metric in METRICS if metric.prometheus],
        [name for metric in METRICS for name in metric.library_names],
        [name for metric in LIVE for name in (metric.name, *metric.status_names)],
    ):
        assert len(names) == len(set(names))


def test_library_names_are_in_lower_case_as_they_are_looked_up() -> None:
    assert all(name == name.lower() for metric in METRICS for name in metric.library_names)
