"""The table of what is read of a GPU and what cannot follow from it."""

from __future__ import annotations

from dataclasses import fields

import pytest

from app.views.models import GpuStatus
from collectors.machines.gpu import nvml
from collectors.machines.gpu.reading import GPU_VALUES, GpuReading

# Called differently in the view.
_IN_THE_VIEW = {"temp_slowdown_c": "temp_limit_c"}


def test_every_number_of_a_gpu_is_in_the_table_in_the_same_order() -> None:
    numbers = [field.name for field in fields(GpuReading) if field.type == "float | None"]
    assert numbers == [value.name for value in GPU_VALUES]


@pytest.mark.parametrize("name", [value.name for value in GPU_VALUES])
def test_nvml_is_asked_for_it_and_the_view_tells_it(name: str) -> None:
    assert name in {field for metric in nvml.METRICS for field in metric.fields}
    assert _IN_THE_VIEW.get(name, name) in GpuStatus.model_fields


def test_names_stand_for_one_value_each() -> None:
    for told in (
        [value.smi for value in GPU_VALUES],
        [value.server for value in GPU_VALUES],
        [value.prometheus for value in GPU_VALUES],
    ):
        names = [name for name in told if name is not None]
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "told", "value"),
    [
        ("vram_total_gb", 24_576, 24.0),
        ("vram_total_gb", 0, None),
        ("util_pct", 101, None),
        ("util_pct", float("nan"), None),
        ("fan_pct", 110, 110),
        ("power_w", None, None),
    ],
)
def test_what_cannot_be_true_is_not_known(
    name: str, told: float | None, value: float | None
) -> None:
    (row,) = (each for each in GPU_VALUES if each.name == name)
    assert row.of(told) == value
