"""NVML for real: what the collector reads from this machine's GPUs, beside what nvidia-smi says."""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from collectors.machines.gpu.local import NvmlSession
from collectors.machines.gpu.reading import GpuReading, GpusReading

pytestmark = pytest.mark.gpu

SMI_FIELDS = (
    "uuid,name,temperature.gpu,memory.total,memory.used,enforced.power.limit,power.draw,fan.speed"
)


@pytest.fixture(scope="module")
def session() -> Iterator[NvmlSession]:
    with NvmlSession() as session:
        reading = session.read()
        if not reading.gpus:
            pytest.skip(f"no NVIDIA GPU here ({reading.state}): {reading.message}")
        yield session


@pytest.fixture(scope="module")
def reading(session: NvmlSession) -> GpusReading:
    reading = session.read()
    for gpu in reading.gpus:
        print(gpu)  # noqa: T201 - this is the record of what a real driver told
    return reading


def ask_smi() -> dict[str, list[str]]:
    """What nvidia-smi says, by UUID: the fields of SMI_FIELDS in their order, without units."""
    if shutil.which("nvidia-smi") is None:
        pytest.skip("nvidia-smi is not on PATH")
    command = ["nvidia-smi", f"--query-gpu={SMI_FIELDS}", "--format=csv,noheader,nounits"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    rows = csv.reader(told.stdout.splitlines(), skipinitialspace=True)
    return {row[0]: row for row in rows if len(row) == len(SMI_FIELDS.split(","))}


def number(text: str) -> float | None:
    """What nvidia-smi printed as a number; None for [N/A] and the like."""
    try:
        return float(text)
    except ValueError:
        return None


def test_every_gpu_says_who_it_is(reading: GpusReading) -> None:
    assert reading.state == "ok"
    assert reading.driver_version
    for gpu in reading.gpus:
        assert gpu.uuid.startswith("GPU-")
        assert gpu.name
    assert len({gpu.uuid for gpu in reading.gpus}) == len(reading.gpus)


def test_what_it_tells_is_plausible(reading: GpusReading) -> None:
    for gpu in reading.gpus:
        assert gpu.temp_c is None or 0 <= gpu.temp_c <= 120
        assert gpu.temp_slowdown_c is None or 60 <= gpu.temp_slowdown_c <= 130
        assert gpu.util_pct is None or 0 <= gpu.util_pct <= 100
        assert gpu.power_w is None or 1 <= gpu.power_w <= 2000
        if gpu.vram_total_gb is not None and gpu.vram_used_gb is not None:
            assert 0 <= gpu.vram_used_gb <= gpu.vram_total_gb
            assert gpu.vram_total_gb > 0


def test_what_it_does_not_tell_has_a_reason(reading: GpusReading) -> None:
    for gpu in reading.gpus:
        silent = {
            name
            for name in GpuReading.__dataclass_fields__
            if name != "problem" and getattr(gpu, name) is None
        }
        assert silent <= set(gpu.notes)


def test_it_agrees_with_nvidia_smi(session: NvmlSession) -> None:
    smi = ask_smi()
    gpus = session.read().gpus
    assert {gpu.uuid for gpu in gpus} == set(smi)
    for gpu in gpus:
        _, name, temp, total_mib, used_mib, power_limit, power, fan = smi[gpu.uuid]
        assert gpu.name == name
        # Moments lie between the two looks, so what moves may differ a little.
        assert gpu.temp_c == pytest.approx(number(temp), abs=5)
        assert gpu.power_limit_w == pytest.approx(number(power_limit), abs=1)
        assert (gpu.power_w is None) == (number(power) is None)
        assert (gpu.fan_pct is None) == (number(fan) is None)
        total, used = number(total_mib), number(used_mib)
        if total is not None and used is not None:
            assert gpu.vram_total_gb == pytest.approx(total / 1024, abs=0.01)
            assert gpu.vram_used_gb == pytest.approx(used / 1024, abs=1.0)
        else:
            assert gpu.vram_total_gb is None


def test_closing_and_reading_again_works(session: NvmlSession) -> None:
    before = {gpu.uuid for gpu in session.read().gpus}
    session.close()
    assert {gpu.uuid for gpu in session.read().gpus} == before
