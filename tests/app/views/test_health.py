"""The traffic lights."""

from __future__ import annotations

import pytest

from app.settings import Thresholds
from app.views.health import (
    gap_status,
    gpu_level,
    health_lights,
    machine_issues,
    usage_level,
    worst,
)
from app.views.models import GpuStatus, Level, MachineStatus
from collectors.files.training import Liveness, TrainingReading
from collectors.machines.gpu.reading import GpuReading


def gpu(**values: object) -> GpuReading:
    fields: dict[str, object] = {"uuid": "GPU-1", "index": 0, "name": "RTX 4090", **values}
    return GpuReading(**fields)  # type: ignore[arg-type]  # test shorthand


def reading(**values: object) -> TrainingReading:
    fields: dict[str, object] = {
        "run_id": "r",
        "status": "training",
        "liveness": Liveness(state="live", silent_s=1.0, patience_s=90.0),
        **values,
    }
    return TrainingReading(**fields)  # type: ignore[arg-type]  # test shorthand


@pytest.mark.parametrize(
    ("temp_c", "limit_c", "level"),
    [
        (70, 83, "ok"),
        (75, 83, "warning"),
        (83, 83, "critical"),
        (79, None, "ok"),
        (80, None, "warning"),
        (90, None, "critical"),
        (None, 83, "unknown"),
    ],
)
def test_a_gpu_is_hot_against_its_own_limit_or_the_settings(
    temp_c: float | None, limit_c: float | None, level: Level
) -> None:
    assert gpu_level(gpu(temp_c=temp_c, temp_slowdown_c=limit_c), Thresholds()) == level


def test_a_lost_gpu_is_critical_whatever_its_temperature() -> None:
    assert gpu_level(gpu(temp_c=40, problem="lost"), Thresholds()) == "critical"


def test_the_worst_known_level_wins() -> None:
    assert worst(["ok", "unknown", "warning"]) == "warning"
    assert worst(["unknown"]) == "unknown"
    assert worst([]) == "unknown"


def test_every_light_says_in_words_what_it_means() -> None:
    machine = MachineStatus(
        name="box",
        role="training",
        online=True,
        gpus=(GpuStatus(uuid="u", index=0, name="n", temp_c=81, level="warning"),),
    )
    lights = health_lights(reading(loss_trend="rising", throughput_trend="degraded"), [machine])
    assert [(light.level, light.text) for light in lights] == [
        ("warning", "Loss rising"),
        ("warning", "Throughput below baseline"),
        ("warning", "GPU 0 hot: 81 °C"),
        ("ok", "Writing"),
    ]


@pytest.mark.parametrize(
    ("status", "state", "text"),
    [
        ("training", "stalled", "Stalled"),
        ("crashed", "ended", "Crashed"),
        ("completed", "ended", "Ended"),
        ("paused", "live", "Paused"),
        (None, "unknown", "No trainer seen"),
    ],
)
def test_liveness_tells_stalled_from_crashed_and_ended(
    status: str | None, state: str, text: str
) -> None:
    liveness = Liveness(state=state, silent_s=None, patience_s=None)  # type: ignore[arg-type]  # parametrized
    light = health_lights(reading(status=status, liveness=liveness), [])[3]
    assert light.text == text


def test_a_loss_that_is_not_finite_is_critical_whatever_its_trend() -> None:
    light = health_lights(reading(loss=float("nan"), loss_trend="improving"), [])[0]
    assert (light.level, light.text) == ("critical", "Loss is nan")


def test_nothing_known_is_unknown_not_ok() -> None:
    assert {light.level for light in health_lights(None, [])} == {"unknown"}


@pytest.mark.parametrize(
    ("pct", "level"),
    [(None, "unknown"), (50, "ok"), (90, "warning"), (94.9, "warning"), (95, "critical")],
)
def test_a_disk_that_fills_up_is_told_before_it_is_full(pct: float | None, level: Level) -> None:
    assert usage_level(pct, warning_pct=90) == level


def test_a_full_disk_is_an_issue_that_names_the_machine() -> None:
    machine = MachineStatus(
        name="box", role="training", online=True, disk_pct=97, disk_level="critical", ram_pct=10
    )
    assert machine_issues([machine]) == [("critical", "box: disk 97 % full")]


@pytest.mark.parametrize(
    ("gap", "status"),
    [(None, None), (float("nan"), None), (0.08, "good"), (0.3, "warning"), (0.5, "overfitting")],
)
def test_a_widening_gap_is_overfitting(gap: float | None, status: str | None) -> None:
    assert gap_status(gap, Thresholds()) == status
