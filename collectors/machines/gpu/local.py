"""Every NVIDIA GPU of this machine, read through NVML.

All ``_gb`` values are GiB (2**30 bytes). A value that a card or driver does not tell is None, and
``GpuReading.notes`` says why where the reason is known.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from collectors.machines.gpu import nvml, nvml_shares
from collectors.machines.gpu.nvml_errors import (
    HANDLE_STALE,
    NO_GPU,
    NO_MODULE,
    RESET,
    SESSION_GONE,
    VANISHED,
    Code,
    GpuState,
    explain_gpu,
    explain_system,
)
from collectors.machines.gpu.reading import GpuReading, GpusReading
from collectors.patience import Patience

log = logging.getLogger(__name__)


def import_pynvml() -> Any:
    """The module of the distribution nvidia-ml-py. Raises ImportError where it is missing."""
    import pynvml

    return pynvml


class NvmlSession:
    """NVML, initialised by the first :meth:`read` and anew when it went stale, until :meth:`close`.

    For one thread at a time. Nothing that failed is given up: it is tried again after pauses, by
    ``clock`` in seconds, that grow to a minute (to five, for initialising NVML anew).
    """

    def __init__(
        self,
        load: Callable[[], Any] = import_pynvml,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._clock = clock
        self._lib: Any = None  # pynvml while it is initialised
        self._driver_version: str | None = None
        self._failure: tuple[GpuState, str] = ("error", "NVML was not asked yet.")
        self._known: dict[str, GpuReading] = {}  # by UUID: who they are, without values
        self._ailing = False  # a GPU did not answer the last look
        self._opening = Patience(clock, first_pause_s=5, longest_pause_s=60)
        self._reopening = Patience(clock, first_pause_s=5, longest_pause_s=300)
        self._patience = self._fresh_patience()

    def __enter__(self) -> NvmlSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Shut NVML down. Does nothing where it is not initialised; a later read opens it again."""
        lib, self._lib = self._lib, None
        if lib is None:
            return
        try:
            lib.nvmlShutdown()
        except lib.NVMLError as error:
            log.debug("NVML shut down with: %s", error)

    def read(self) -> GpusReading:
        """Look at every GPU. Never raises for what the driver or a card does: the reading says."""
        if self._opening.pausing("nvml"):
            return self._closed()
        if self._ailing and not self._reopening.pausing("nvml"):
            self.close()
        # Twice: a session that went stale since the last look is opened anew at once.
        for _attempt in range(2):
            reopen = self._lib is not None and not self._reopening.pausing("nvml")
            lib = self._lib if self._lib is not None else self._open()
            if lib is None:
                break
            try:
                gpus = self._look(lib, raise_stale=reopen)
            except lib.NVMLError as error:
                self.close()
                self._failure = explain_system(error.value, str(error))
                continue
            self._opening.worked("nvml")
            state: GpuState = "ok" if gpus else "no_gpu"
            message = None if gpus else NO_GPU
            return GpusReading(
                state=state, message=message, driver_version=self._driver_version, gpus=gpus
            )
        self._opening.failed("nvml", self._failure[1])
        return self._closed()

    def _fresh_patience(self) -> Patience:
        return Patience(self._clock, first_pause_s=2, longest_pause_s=60)

    def _open(self) -> Any:
        """The library, initialised; None, and the reason kept, where that fails."""
        try:
            lib = self._load()
        except ImportError:
            self._failure = ("no_library", NO_MODULE)
            return None
        try:
            lib.nvmlInit()
        except lib.NVMLError as error:
            self._failure = explain_system(error.value, str(error))
            return None
        self._lib = lib
        self._patience = self._fresh_patience()
        try:
            self._driver_version = _text(lib.nvmlSystemGetDriverVersion())
        except lib.NVMLError as error:
            log.debug("NVML tells no driver version: %s", error)
        return lib

    def _closed(self) -> GpusReading:
        """The reading while NVML is not initialised: GPUs seen before stay, with the reason."""
        state, message = self._failure
        return GpusReading(
            state=state,
            message=message,
            driver_version=self._driver_version,
            gpus=_sorted([replace(gpu, problem=message) for gpu in self._known.values()]),
        )

    def _look(self, lib: Any, *, raise_stale: bool) -> tuple[GpuReading, ...]:
        """Every GPU that is there or was.

        Raises NVML's error when there is no telling how many there are and, with ``raise_stale``,
        when a GPU's answer says that the session is stale.
        """
        gpus, lost = [], []
        for index in range(lib.nvmlDeviceGetCount()):
            key = f"index {index}"
            resting = self._patience.pausing(key)
            if resting is not None:
                lost.append((index, resting.reason))
                continue
            try:
                gpus.append(self._look_at(lib, index))
                self._patience.worked(key)
            except lib.NVMLError as error:
                if raise_stale and error.value in HANDLE_STALE:
                    raise
                problem = explain_gpu(error.value, str(error))
                lost.append((index, self._patience.failed(key, problem).reason))
        self._note_ailing(bool(lost) or len(gpus) < len(self._known), any_well=bool(gpus))
        return _sorted([*gpus, *self._unanswering(gpus, lost)])

    def _unanswering(
        self, gpus: Sequence[GpuReading], lost: Sequence[tuple[int, str]]
    ) -> list[GpuReading]:
        """Readings without values: for each index that failed, and for each GPU that is no more."""
        answered = {gpu.uuid for gpu in gpus}
        absent = [gpu for gpu in self._known.values() if gpu.uuid not in answered]
        readings = []
        for index, problem in lost:
            who = next((gpu for gpu in absent if gpu.index == index), None)
            if who is None:
                who = GpuReading(uuid=f"unknown-{index}", index=index, name="NVIDIA GPU")
            else:
                absent.remove(who)
            readings.append(replace(who, problem=problem))
        return readings + [replace(gpu, problem=VANISHED) for gpu in absent]

    def _note_ailing(self, ailing: bool, *, any_well: bool) -> None:
        self._ailing = ailing
        if not ailing:
            self._reopening.worked("nvml")
        elif not self._reopening.pausing("nvml"):
            # Initialising anew can fail as a whole: rarely, while other GPUs still answer.
            self._reopening.failed("nvml", "a GPU does not answer", broken=not any_well)

    def _look_at(self, lib: Any, index: int) -> GpuReading:
        """One GPU. Raises NVML's error when it is lost: does not tell who it is, or no value."""
        handle = lib.nvmlDeviceGetHandleByIndex(index)
        uuid = _text(lib.nvmlDeviceGetUUID(handle))
        before = self._known.get(uuid)
        try:
            name = _text(lib.nvmlDeviceGetName(handle))
        except lib.NVMLError as error:
            if error.value == Code.GPU_IS_LOST:
                raise
            name = "NVIDIA GPU" if before is None else before.name
        self._known[uuid] = GpuReading(uuid=uuid, index=index, name=name)
        values, notes = self._ask(lib, handle, uuid)
        return GpuReading(uuid=uuid, index=index, name=name, **values, notes=notes)

    def _ask(self, lib: Any, handle: Any, uuid: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Values and notes by field. Raises NVML's error when that is all that comes back."""
        values: dict[str, Any] = {}
        notes: dict[str, str] = {}
        failure: Exception | None = None
        for metric in (*nvml.METRICS, *nvml_shares.METRICS):
            key = f"{uuid} {metric.name}"
            resting = self._patience.pausing(key)
            reason = None if resting is None else resting.reason
            if resting is None:
                try:
                    values.update(metric.read(lib, handle))
                    self._patience.worked(key)
                except nvml.ImpossibleError as error:
                    reason = str(error)  # costs nothing to ask again at the next look
                except nvml.UnsupportedError as error:
                    reason = str(error) or metric.unsupported
                    self._patience.failed(key, reason, broken=False)
                except lib.NVMLError as error:
                    lost = error.value == Code.GPU_IS_LOST and not values.get("problem")
                    if lost or error.value in SESSION_GONE:
                        raise
                    failure = error
                    reason = RESET if error.value == Code.RESET_REQUIRED else str(error)
                    self._patience.failed(key, reason)
            if reason is not None:
                notes.update(dict.fromkeys(metric.fields, reason))
            if reason == RESET:
                values["problem"] = values.get("problem") or RESET
        if failure is not None and all(value is None for value in values.values()):
            raise failure
        return values, notes


def _text(told: str | bytes) -> str:
    return told.decode(errors="replace") if isinstance(told, bytes) else told


def _sorted(gpus: Sequence[GpuReading]) -> tuple[GpuReading, ...]:
    return tuple(sorted(gpus, key=lambda gpu: (gpu.index, gpu.uuid)))
