"""The charts of a machine's day."""

from __future__ import annotations

from app.charts.machines import machine_charts
from app.views.models import GpuStatus, MachineStatus
from app.watch.machine_history import WHOLE_MACHINE, MachineMinute

MACHINE = MachineStatus(
    name="box",
    role="training",
    online=True,
    gpus=(GpuStatus(uuid="GPU-a", index=0, name="RTX", temp_limit_c=83, power_limit_w=450),),
)


def minutes(*numbers: int) -> list[MachineMinute]:
    return [
        minute
        for number in numbers
        for minute in (
            MachineMinute(
                minute=number * 60,
                machine="box",
                device=WHOLE_MACHINE,
                name="box",
                online=1,
                cpu_pct=20,
                ram_pct=40,
            ),
            MachineMinute(
                minute=number * 60,
                machine="box",
                device="GPU-a",
                name="GPU 0 · RTX",
                online=1,
                temp_c=70 + number,
                util_pct=90,
                vram_pct=80,
            ),
        )
    ]


def test_gpu_and_machine_share_a_chart_where_they_compare() -> None:
    charts = dict(machine_charts(MACHINE, minutes(1, 2, 3)))
    assert list(charts) == ["Temperature", "Utilisation", "Memory", "Power"]
    names = [trace["name"] for trace in charts["Utilisation"].figure["data"]]
    assert names == ["CPU", "GPU 0"]
    dashes = {trace["line"]["dash"] for trace in charts["Utilisation"].figure["data"]}
    assert len(dashes) == 2, "colour is not the only sign"
    assert charts["Temperature"].figure["layout"]["shapes"][0]["y0"] == 83
    assert "73 °C, at most 73" in charts["Temperature"].description
    assert "Limit: 83 °C" in charts["Temperature"].description


def test_a_silence_breaks_the_line() -> None:
    (trace,) = dict(machine_charts(MACHINE, minutes(1, 2, 9)))["Temperature"].figure["data"]
    assert trace["y"] == [71, 72, None, 79]


def test_what_was_never_told_has_no_rows() -> None:
    charts = dict(machine_charts(MACHINE, minutes(1, 2)))
    assert charts["Power"].rows == []
    assert all(not chart.rows for _, chart in machine_charts(MACHINE, []))


def test_rows_name_machine_and_device() -> None:
    rows = dict(machine_charts(MACHINE, minutes(1)))["Memory"].rows
    assert [(row["device"], row["ram_pct"], row["vram_pct"]) for row in rows] == [
        ("RAM", 40, None),
        ("GPU 0 · RTX", None, 80),
    ]
