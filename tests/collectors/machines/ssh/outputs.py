"""What nvidia-smi prints for several cards, for the fields that are asked of it."""

from __future__ import annotations

RTX_3090 = (
    "0, GPU-3090, 580.95.05, 41, 52, 3, 8192, 24576, 121.38, 350.00, 30, "
    "0x0000000000000000, [N/A], NVIDIA GeForce RTX 3090"
)
RTX_4090 = (
    "1, GPU-4090, 580.95.05, 75, 9, 98, 20480, 24564, 380.11, 450.00, 62, "
    "0x0000000000000004, [N/A], NVIDIA GeForce RTX 4090"
)
# Split by MIG: no utilisation; passively cooled: no fan.
A100_MIG = (
    "0, GPU-7fdaf0a5-179b-f636-d15d-daf243e3ff16, 535.216.01, 33, [N/A], [N/A], 36537, 81920, "
    "87.02, 400.00, [N/A], 0x0000000000000001, Enabled, NVIDIA A100-SXM4-80GB"
)
A100_LIST = """\
GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-7fdaf0a5-179b-f636-d15d-daf243e3ff16)
  MIG 1g.10gb     Device  0: (UUID: MIG-feb88891-0321-5fef-9c87-d4af3b54259e)
  MIG 3g.40gb     Device  1: (UUID: MIG-a25704ba-3a06-5299-a795-fd7cf4d13973)
"""
# A laptop's: neither fan nor power.
LAPTOP = (
    "0, GPU-laptop, 550.54.14, 52, [N/A], 0, 5, 6144, [Not Supported], [Not Supported], "
    "[Not Supported], 0x0000000000000000, [N/A], NVIDIA GeForce GTX 1650, Max-Q"
)
# Unified memory.
GB10 = (
    "0, GPU-gb10, 580.82.09, 48, [N/A], 12, [N/A], [N/A], 14.50, [N/A], [N/A], "
    "0x0000000000000000, [N/A], NVIDIA GB10"
)
LOST = (
    "2, GPU-lost, 580.95.05, [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], "
    "[GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], "
    "NVIDIA GeForce RTX 3090"
)
NO_HANDLE = "Unable to determine the device handle for GPU0000:03:00.0: Unknown Error"
MISMATCH = (
    "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.95\n"
)
NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that "
    "the latest NVIDIA driver is installed and running.\n"
)
PROCESSES = """\
GPU-3090, 4242, 7900, /home/me/venv/bin/python3
GPU-3090, 4243, [N/A], [Not Found]
GPU-4090, 99, 20100, python, with a comma
"""
