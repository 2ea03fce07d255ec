"""What NVML's return codes mean to a person: the state of this machine's GPUs and what to do."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

GpuState = Literal[
    "ok",
    "no_library",  # libnvidia-ml or its Python module is not installed
    "no_driver",  # the kernel driver is not loaded
    "no_gpu",  # the driver works and finds no GPU
    "version_mismatch",  # the driver was updated under a running kernel module
    "no_permission",
    "error",
]


class Code(IntEnum):
    """NVML's return codes (nvml.h): part of its ABI, the same in every release."""

    SUCCESS = 0
    UNINITIALIZED = 1
    INVALID_ARGUMENT = 2
    NOT_SUPPORTED = 3
    NO_PERMISSION = 4
    NOT_FOUND = 6
    DRIVER_NOT_LOADED = 9
    LIBRARY_NOT_FOUND = 12
    FUNCTION_NOT_FOUND = 13
    GPU_IS_LOST = 15
    RESET_REQUIRED = 16
    LIB_RM_VERSION_MISMATCH = 18
    NO_DATA = 21
    ARGUMENT_VERSION_MISMATCH = 25
    DEPRECATED = 26
    UNKNOWN = 999


# What says that there is nothing to get here, and not that something broke.
UNSUPPORTED = frozenset(
    {
        Code.NOT_SUPPORTED,
        Code.FUNCTION_NOT_FOUND,
        Code.NO_DATA,
        Code.ARGUMENT_VERSION_MISMATCH,
        Code.DEPRECATED,
    }
)
# What says that the library must be initialised anew, and not that one value or card is unwell.
SESSION_GONE = frozenset({Code.UNINITIALIZED, Code.DRIVER_NOT_LOADED, Code.LIB_RM_VERSION_MISMATCH})
# The same, when it is the answer to "which GPU is this?".
HANDLE_STALE = SESSION_GONE | {Code.INVALID_ARGUMENT, Code.NOT_FOUND}

NO_MODULE = (
    "The Python module pynvml is missing from the app's environment: `pip install nvidia-ml-py`."
)
NO_GPU = (
    "The NVIDIA driver is loaded and finds no GPU. In a container: start it with `--gpus all`. "
    "Elsewhere: see whether `lspci | grep -i nvidia` lists the card."
)
VANISHED = "the driver no longer finds this GPU: see `dmesg`, then reboot"
RESET = "needs a reset: stop what uses it (this app too), then `sudo nvidia-smi --gpu-reset`"

_SYSTEM: dict[int, tuple[GpuState, str]] = {
    Code.LIBRARY_NOT_FOUND: (
        "no_library",
        "No NVIDIA driver here (libnvidia-ml.so.1 is missing). With an NVIDIA GPU: install its "
        "driver; in a container: start it with `--gpus all`. Without one: nothing to do.",
    ),
    Code.DRIVER_NOT_LOADED: (
        "no_driver",
        "The NVIDIA driver is installed but not loaded: run `sudo modprobe nvidia`, and reboot or "
        "reinstall the driver if that fails. In a container: start it with `--gpus all`.",
    ),
    Code.LIB_RM_VERSION_MISMATCH: (
        "version_mismatch",
        "Driver/library version mismatch: the NVIDIA driver was updated (an unattended upgrade?) "
        "while the old one was loaded. Reboot, or unload and load its kernel modules.",
    ),
    Code.NO_PERMISSION: (
        "no_permission",
        "No permission to ask the NVIDIA driver: let this user read and write /dev/nvidia* (often "
        "the group `video` or `render`); in a container: start it with `--gpus all`.",
    ),
    Code.UNKNOWN: (
        "error",
        "The NVIDIA driver answers `Unknown Error`. A container loses its GPUs so after "
        "`systemctl daemon-reload` on the host: recreate the container. Elsewhere: see `dmesg`.",
    ),
    Code.GPU_IS_LOST: (
        "error",
        "A GPU is lost: it fell off the bus. See `dmesg` for the Xid, then reboot.",
    ),
    Code.RESET_REQUIRED: ("error", f"A GPU {RESET}."),
}
_ONE_GPU: dict[int, str] = {
    Code.GPU_IS_LOST: "GPU is lost: it fell off the bus. See `dmesg` for the Xid, then reboot",
    Code.RESET_REQUIRED: RESET,
    Code.UNKNOWN: (
        "answers `Unknown Error`: in a container, recreate it (`systemctl daemon-reload` on the "
        "host takes its GPUs away); elsewhere, see `dmesg`"
    ),
    Code.NO_PERMISSION: "no permission to ask it: let this user read and write its /dev/nvidia*",
}


def explain_system(code: int, text: str) -> tuple[GpuState, str]:
    """The state, and the message, for NVML as a whole failing with ``code`` ("text")."""
    unknown = f"NVML fails with `{text}` (code {code}). Compare `nvidia-smi` and `dmesg`."
    return _SYSTEM.get(code, ("error", unknown))


def explain_gpu(code: int, text: str) -> str:
    """The problem of one GPU that answers nothing but ``code`` ("text")."""
    return _ONE_GPU.get(code, f"does not answer: {text} (NVML code {code}); see `dmesg`")
