"""The questions put to NVML about one GPU: which call answers, in which unit, what is no answer.

``lib`` is the module ``pynvml``, ``handle`` one of its device handles. What a driver or card does
not tell raises UnsupportedError or ImpossibleError with the reason; NVML's own errors pass through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from collectors.machines.gpu.nvml_errors import RESET, UNSUPPORTED, Code

_BYTES_PER_GB = 2**30
_UINT_BLANK = 2**32 - 1  # what drivers write where they have no value
_ULONGLONG_BLANK = 2**64 - 1
_TEMPERATURE_GPU = 0
_THRESHOLD_SLOWDOWN = 1
MIG_ENABLED = 1

NOT_TOLD = "not told by this card or driver"
UNDER_MIG = "not told while the card is split by MIG"
UNIFIED_MEMORY = "not told by the driver: a GPU with unified memory uses the machine's RAM"
NO_FAN = "no fan that the driver can see: passively cooled, or a laptop"


class UnsupportedError(Exception):
    """This card, driver or library does not tell the value: the text says why, if that is known."""


class ImpossibleError(Exception):
    """The driver answered with something that cannot be the value."""


@dataclass(frozen=True)
class Metric:
    """A question that fails alone: ``read`` gives fields of ``GpuReading`` by name."""

    name: str
    read: Callable[[Any, Any], Mapping[str, Any]]
    fields: tuple[str, ...]  # those that get a note when there is no value
    unsupported: str = NOT_TOLD


def answer(lib: Any, handle: Any, *calls: tuple[str, tuple[object, ...]]) -> Any:
    """What the first of ``calls`` (function, further arguments) answers that is supported here.

    Raises UnsupportedError when none is, and NVML's error when one fails for another reason.
    """
    for function, arguments in calls:
        call = getattr(lib, function, None)  # an older nvidia-ml-py lacks the newer functions
        if call is None:
            continue
        try:
            return call(handle, *arguments)
        except lib.NVMLError as error:
            if error.value not in UNSUPPORTED:
                raise
    raise UnsupportedError


def _within(value: float, low: float, high: float, unit: str) -> float:
    if value in (_UINT_BLANK, _ULONGLONG_BLANK):
        raise ImpossibleError("the driver left the value blank")
    if not low <= value <= high:
        raise ImpossibleError(f"the driver told {value:g} {unit}, which cannot be")
    return float(value)


def _temperature(lib: Any, handle: Any) -> float:
    calls = ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature")
    told = answer(lib, handle, *((call, (_TEMPERATURE_GPU,)) for call in calls))
    return _within(told, -50, 150, "°C")


def _slowdown(lib: Any, handle: Any) -> float:
    """Where the card slows itself down; cards since Ada may tell only how far away that is."""
    try:
        call = ("nvmlDeviceGetTemperatureThreshold", (_THRESHOLD_SLOWDOWN,))
        return _within(answer(lib, handle, call), 20, 150, "°C")
    except (UnsupportedError, ImpossibleError):
        margin = _within(answer(lib, handle, ("nvmlDeviceGetMarginTemperature", ())), -99, 150, "°")
        return _temperature(lib, handle) + margin


def _utilisation(lib: Any, handle: Any) -> float:
    try:
        current, _pending = answer(lib, handle, ("nvmlDeviceGetMigMode", ()))
    except UnsupportedError:
        current = 0
    if current == MIG_ENABLED:
        raise UnsupportedError(UNDER_MIG)
    told = answer(lib, handle, ("nvmlDeviceGetUtilizationRates", ()))
    return _within(told.gpu, 0, 100, "%")


def memory_gb(lib: Any, handle: Any) -> dict[str, float]:
    """``vram_used_gb`` and ``vram_total_gb``, in GiB."""
    # Version 1 counts the driver's reserve, hundreds of MB, as used.
    v2 = getattr(lib, "nvmlMemory_v2", None)
    versions: tuple[tuple[object, ...], ...] = ((v2,), ()) if v2 is not None else ((),)
    call = "nvmlDeviceGetMemoryInfo"
    told = answer(lib, handle, *((call, version) for version in versions))
    total = _within(told.total, 1, 2**50, "bytes")
    used = _within(told.used, 0, total, "bytes")
    return {"vram_used_gb": used / _BYTES_PER_GB, "vram_total_gb": total / _BYTES_PER_GB}


def _power(lib: Any, handle: Any) -> float:
    told_mw = answer(lib, handle, ("nvmlDeviceGetPowerUsage", ()))
    return _within(told_mw, 0, 20_000_000, "mW") / 1000


def _power_limit(lib: Any, handle: Any) -> float:
    calls = ("nvmlDeviceGetEnforcedPowerLimit", "nvmlDeviceGetPowerManagementLimit")
    told_mw = answer(lib, handle, *((call, ()) for call in calls))
    return _within(told_mw, 1, 20_000_000, "mW") / 1000


def _fan(lib: Any, handle: Any) -> float:
    # NVML: a fan may turn at more than 100 % of its nominal maximum.
    return _within(answer(lib, handle, ("nvmlDeviceGetFanSpeed", ())), 0, 200, "%")


_SW_POWER_CAP, _HW_SLOWDOWN, _HW_THERMAL, _HW_POWER_BRAKE = 0x4, 0x8, 0x40, 0x80
# nvmlClocksEventReasons of nvml.h; idle, user-set clocks, sync boost and display are no trouble.
_REASONS = {
    0x20: "thermal",
    _HW_THERMAL: "thermal (hardware)",
    _SW_POWER_CAP: "power cap",
    _HW_POWER_BRAKE: "power brake",
    0x200: "board limit",
    0x400: "reliability",
}


def throttle_words(bits: int) -> tuple[str, ...]:
    """The reasons in NVML's mask that hold clocks down against the user's wish."""
    if bits in (_UINT_BLANK, _ULONGLONG_BLANK):
        raise ImpossibleError("the driver left the value blank")
    words = tuple(word for bit, word in _REASONS.items() if bits & bit)
    # The general bit goes with either of the two that say why.
    if bits & _HW_SLOWDOWN and not bits & (_HW_THERMAL | _HW_POWER_BRAKE):
        words += ("hardware slowdown",)
    return words


def _throttling(lib: Any, handle: Any) -> tuple[str, ...]:
    calls = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
    return throttle_words(answer(lib, handle, *((call, ()) for call in calls)))


_RECOVERY = {  # nvmlDeviceGpuRecoveryAction of nvml.h
    1: RESET,
    2: "needs a reboot of this machine",
    3: "needs its peer-to-peer work stopped: end the jobs that use several GPUs",
    4: "needs a reset: let its jobs end and start no new ones, then `sudo nvidia-smi --gpu-reset`",
    5: "needs its IMEX domain recovered: see the fabric manager's log",
    6: "needs a reset of its bus: see `dmesg` for the Xid and reboot if it stays",
    7: "needs a reboot of this machine",
}


def _recovery(lib: Any, handle: Any) -> str | None:
    field = getattr(lib, "NVML_FI_DEV_GET_GPU_RECOVERY_ACTION", None)
    if field is None:
        raise UnsupportedError
    told = answer(lib, handle, ("nvmlDeviceGetFieldValues", ([field],)))[0]
    if told.nvmlReturn in UNSUPPORTED or told.nvmlReturn == Code.INVALID_ARGUMENT:
        raise UnsupportedError
    if told.nvmlReturn != Code.SUCCESS:
        raise lib.NVMLError(told.nvmlReturn)
    action = told.value.uiVal
    return _RECOVERY.get(action, f"asks for recovery action {action}") if action else None


METRICS = (
    Metric("recovery", lambda lib, gpu: {"problem": _recovery(lib, gpu)}, ()),
    Metric("temp_c", lambda lib, gpu: {"temp_c": _temperature(lib, gpu)}, ("temp_c",)),
    Metric(
        "temp_slowdown_c",
        lambda lib, gpu: {"temp_slowdown_c": _slowdown(lib, gpu)},
        ("temp_slowdown_c",),
    ),
    Metric("util_pct", lambda lib, gpu: {"util_pct": _utilisation(lib, gpu)}, ("util_pct",)),
    Metric(
        "vram",
        memory_gb,
        ("vram_used_gb", "vram_total_gb"),
        UNIFIED_MEMORY,
    ),
    Metric("power_w", lambda lib, gpu: {"power_w": _power(lib, gpu)}, ("power_w",)),
    Metric(
        "power_limit_w",
        lambda lib, gpu: {"power_limit_w": _power_limit(lib, gpu)},
        ("power_limit_w",),
    ),
    Metric(
        "fan_pct",
        lambda lib, gpu: {"fan_pct": _fan(lib, gpu)},
        ("fan_pct",),
        NO_FAN,
    ),
    Metric(
        "throttle_reasons",
        lambda lib, gpu: {"throttle_reasons": _throttling(lib, gpu)},
        ("throttle_reasons",),
    ),
)
