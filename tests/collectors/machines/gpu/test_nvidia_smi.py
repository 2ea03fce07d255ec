"""What nvidia-smi prints, of cards of every kind and of drivers in every state."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.machines.gpu.nvidia_smi import (
    GPU_FIELDS,
    parse_gpus,
    parse_mig,
    parse_processes,
    unknown_field,
    uses_mig,
    with_shares,
)
from collectors.machines.gpu.reading import GpuProcess, GpuReading, MigInstance
from tests.collectors.machines.ssh import outputs


def only(row: str) -> GpuReading:
    (gpu,) = parse_gpus(GPU_FIELDS, 0, row + "\n").gpus
    return gpu


def test_a_card_tells_every_value_in_its_unit() -> None:
    assert only(outputs.RTX_4090) == GpuReading(
        uuid="GPU-4090",
        index=1,
        name="NVIDIA GeForce RTX 4090",
        temp_c=75,
        temp_slowdown_c=84,
        util_pct=98,
        vram_used_gb=20,
        vram_total_gb=24564 / 1024,
        power_w=380.11,
        power_limit_w=450,
        fan_pct=62,
        throttle_reasons=("power cap",),
    )


def test_a_card_without_fan_and_power_has_none_not_zero() -> None:
    gpu = only(outputs.LAPTOP)
    assert (gpu.fan_pct, gpu.power_w, gpu.power_limit_w) == (None, None, None)
    assert "laptop" in gpu.notes["fan_pct"]
    assert gpu.name == "NVIDIA GeForce GTX 1650, Max-Q", "names may hold commas"


def test_under_mig_utilisation_is_unknown_and_says_so() -> None:
    gpu = only(outputs.A100_MIG)
    assert gpu.util_pct is None
    assert "MIG" in gpu.notes["util_pct"]
    assert gpu.vram_used_gb == pytest.approx(36537 / 1024)
    assert uses_mig(outputs.A100_MIG, GPU_FIELDS)
    assert not uses_mig(outputs.RTX_3090, GPU_FIELDS)


def test_unified_memory_points_at_the_machines_ram() -> None:
    gpu = only(outputs.GB10)
    assert gpu.vram_used_gb is None
    assert "RAM" in gpu.notes["vram_used_gb"]
    assert gpu.temp_c == 48


def test_a_lost_gpu_keeps_the_others() -> None:
    reading = parse_gpus(GPU_FIELDS, 0, f"{outputs.RTX_3090}\n{outputs.LOST}\n{outputs.RTX_4090}\n")
    assert [gpu.uuid for gpu in reading.gpus] == ["GPU-3090", "GPU-4090", "GPU-lost"]
    assert [gpu.problem is None for gpu in reading.gpus] == [True, True, False]
    assert "lost" in str(reading.gpus[2].problem)


def test_a_gpu_without_a_handle_is_named_by_its_bus() -> None:
    reading = parse_gpus(GPU_FIELDS, 0, f"{outputs.NO_HANDLE}\n{outputs.RTX_4090}\n")
    broken = next(gpu for gpu in reading.gpus if gpu.problem)
    assert "0000:03:00.0" in broken.name
    assert "container" in str(broken.problem)
    assert len(reading.gpus) == 2


@pytest.mark.parametrize(
    ("status", "text", "state", "word"),
    [
        (18, outputs.MISMATCH, "version_mismatch", "Reboot"),
        (9, outputs.NO_DRIVER, "no_driver", "modprobe"),
        (6, "No devices were found\n", "no_gpu", "lspci"),
        (127, "sh: 1: nvidia-smi: not found\n", "no_library", "PATH"),
        (
            4,
            "Failed to initialize NVML: Insufficient Permissions\n",
            "no_permission",
            "/dev/nvidia",
        ),
        (255, "Failed to initialize NVML: Unknown Error\n", "error", "container"),
        (1, "Segmentation fault\n", "error", "Segmentation fault"),
        (0, "", "error", "nothing"),
    ],
)
def test_a_driver_in_trouble_has_a_name_and_a_remedy(
    status: int, text: str, state: str, word: str
) -> None:
    reading = parse_gpus(GPU_FIELDS, status, text)
    assert reading.state == state
    assert word in str(reading.message)
    assert reading.gpus == ()


def test_a_row_cut_in_half_is_left_out_and_named() -> None:
    reading = parse_gpus(GPU_FIELDS, 0, f"{outputs.RTX_3090}\n{outputs.RTX_4090[:40]}")
    assert [gpu.uuid for gpu in reading.gpus] == ["GPU-3090"]
    assert "GPU-4090" in str(reading.message)


def test_a_field_that_is_not_known_there_is_named() -> None:
    text = 'Field "temperature.gpu.tlimit" is not a valid field to query.\n\n'
    assert unknown_field(text) == "temperature.gpu.tlimit"
    assert unknown_field(outputs.RTX_3090) is None
    fewer = tuple(name for name in GPU_FIELDS if name != "temperature.gpu.tlimit")
    row = outputs.RTX_3090.replace("41, 52, 3", "41, 3")
    (gpu,) = parse_gpus(fewer, 0, row).gpus
    assert (gpu.temp_c, gpu.temp_slowdown_c, gpu.util_pct) == (41, None, 3)


def test_processes_are_told_by_gpu_the_biggest_first() -> None:
    found = parse_processes(outputs.PROCESSES)
    assert found["GPU-3090"] == (
        GpuProcess(pid=4242, name="python3", vram_used_gb=7900 / 1024),
        GpuProcess(pid=4243, name=None, vram_used_gb=None),
    )
    assert found["GPU-4090"][0].name == "python, with a comma"


def test_mig_instances_belong_to_their_gpu_and_their_processes_too() -> None:
    gpus = parse_gpus(GPU_FIELDS, 0, outputs.A100_MIG)
    instances = parse_mig(outputs.A100_LIST)
    part = "MIG-a25704ba-3a06-5299-a795-fd7cf4d13973"
    processes = parse_processes(f"{part}, 7, 4096, vllm\n")
    (gpu,) = with_shares(gpus, processes, instances).gpus
    assert gpu.mig_instances == (
        MigInstance(uuid="MIG-feb88891-0321-5fef-9c87-d4af3b54259e", name="MIG 1g.10gb"),
        MigInstance(uuid=part, name="MIG 3g.40gb"),
    )
    assert gpu.processes == (GpuProcess(pid=7, name="vllm", vram_used_gb=4),)


def test_unknown_processes_are_not_no_processes() -> None:
    gpus = parse_gpus(GPU_FIELDS, 0, outputs.RTX_3090)
    assert with_shares(gpus, None, {}).gpus[0].processes is None
    assert with_shares(gpus, {}, {}).gpus[0].processes == ()


@given(st.text() | st.text(alphabet=" ,0123456789.[]GPUN/A-\n"), st.integers(0, 255))
def test_whatever_is_printed_is_a_reading(text: str, status: int) -> None:
    reading = parse_gpus(GPU_FIELDS, status, text)
    assert reading.gpus or reading.message
    parse_processes(text)
    parse_mig(text)
