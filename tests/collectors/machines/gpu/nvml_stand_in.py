"""A stand-in for the module pynvml, for machines without a GPU driver.

It has the functions the collector asks, raises the real module's errors, and lets a test say what
each card answers. Everything else in these tests is real.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml

GIB = 2**30


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


@dataclass(frozen=True)
class Fails:
    """An answer that is one of NVML's errors."""

    code: int


def healthy_answers() -> dict[str, Any]:
    """What a card under load answers: no MIG, no trouble."""
    return {
        "nvmlDeviceGetTemperatureV": 64,
        "nvmlDeviceGetTemperatureThreshold": 90,
        "nvmlDeviceGetMigMode": Fails(pynvml.NVML_ERROR_NOT_SUPPORTED),
        "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=97, memory=40),
        "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=24 * GIB, used=18 * GIB),
        "nvmlDeviceGetPowerUsage": 341_500,
        "nvmlDeviceGetEnforcedPowerLimit": 450_000,
        "nvmlDeviceGetFanSpeed": 41,
        "nvmlDeviceGetCurrentClocksEventReasons": 0x1,
        "nvmlDeviceGetFieldValues": [recovery(0)],
        "nvmlDeviceGetComputeRunningProcesses_v3": [],
        "nvmlDeviceGetGraphicsRunningProcesses_v3": [],
    }


def recovery(action: int, code: int = pynvml.NVML_SUCCESS) -> SimpleNamespace:
    """The answer to the question for the recovery action."""
    return SimpleNamespace(nvmlReturn=code, value=SimpleNamespace(uiVal=action))


@dataclass(eq=False)
class Card:
    """One GPU. ``answers`` are values, or ``Fails``, by function; functions can be missing."""

    uuid: str = "GPU-aaaa"
    name: str = "NVIDIA GeForce RTX 4090"
    answers: dict[str, Any] = field(default_factory=healthy_answers)
    handle_error: int | None = None

    def fails(self, code: int, *functions: str) -> None:
        """Let these functions, all when none is named, fail with ``code``."""
        for function in functions or tuple(self.answers):
            self.answers[function] = Fails(code)


class NvmlStandIn:
    """Cards in the order of their index, and what initialising meets."""

    NVMLError = pynvml.NVMLError
    nvmlMemory_v2 = pynvml.nvmlMemory_v2
    NVML_FI_DEV_GET_GPU_RECOVERY_ACTION = pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION

    def __init__(self, *cards: Card) -> None:
        self.cards = list(cards)
        self.init_error: int | None = None
        self.count_error: int | None = None
        self.inits = 0
        self.shutdowns = 0
        self.initialised = False
        self.asked: Counter[str] = Counter()
        self.arguments: dict[str, tuple[object, ...]] = {}

    def reload_driver(self) -> None:
        """What a session that was open then meets: it is not initialised any more."""
        self.initialised = False

    def nvmlInit(self) -> None:
        self.inits += 1
        if self.init_error is not None:
            raise self.NVMLError(self.init_error)
        self.initialised = True

    def nvmlShutdown(self) -> None:
        self._check()
        self.shutdowns += 1
        self.initialised = False

    def nvmlSystemGetDriverVersion(self) -> str:
        self._check()
        return "580.65.06"

    def nvmlDeviceGetCount(self) -> int:
        self._check()
        if self.count_error is not None:
            raise self.NVMLError(self.count_error)
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:
        self._check()
        self.asked["handle"] += 1
        card = self.cards[index]
        if card.handle_error is not None:
            raise self.NVMLError(card.handle_error)
        return card

    def nvmlDeviceGetUUID(self, card: Card) -> str:
        return card.uuid

    def nvmlDeviceGetName(self, card: Card) -> str:
        return card.name

    def __getattr__(self, function: str) -> Callable[..., Any]:
        if not any(function in card.answers for card in self.cards):
            raise AttributeError(function)

        def call(card: Card, *arguments: object) -> Any:
            self._check()
            inspect.signature(getattr(pynvml, function)).bind(card, *arguments)
            self.asked[function] += 1
            self.arguments[function] = arguments
            answer = card.answers.get(function, Fails(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND))
            if callable(answer):
                answer = answer(*arguments)
            if isinstance(answer, Fails):
                raise self.NVMLError(answer.code)
            return answer

        return call

    def _check(self) -> None:
        if not self.initialised:
            raise self.NVMLError(pynvml.NVML_ERROR_UNINITIALIZED)
