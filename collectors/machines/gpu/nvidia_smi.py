"""What the command ``nvidia-smi`` prints, understood: GPUs, their processes, their MIG instances.

Its CSV quotes nothing, so what can hold a comma is asked for last. A row that cannot be read is
left out and named; the others count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from collectors.machines.gpu import nvml
from collectors.machines.gpu.nvml_errors import NO_GPU, Code, explain_gpu, explain_system
from collectors.machines.gpu.nvml_shares import biggest_first
from collectors.machines.gpu.reading import (
    GPU_VALUES,
    GpuProcess,
    GpuReading,
    GpusReading,
    MigInstance,
)
from collectors.machines.remote_text import process_name, told_text

MOST_GPUS = 64  # of one machine; none has as many
MOST_PROCESSES = 1000  # of one machine
MOST_INSTANCES = 64  # of one GPU
_SEPARATOR = ", "

# What is asked of each GPU.
_ASKED = {value.smi: value for value in GPU_VALUES if value.smi is not None}
_REQUIRED = ("index", "uuid")
_LAST = ("name",)
GPU_FIELDS: tuple[str, ...] = (
    *_REQUIRED,
    "driver_version",
    *_ASKED,
    "clocks_throttle_reasons.active",
    "mig.mode.current",
    *_LAST,
)
OPTIONAL_FIELDS = frozenset(GPU_FIELDS) - {*_REQUIRED, *_LAST}
PROCESS_FIELDS = ("gpu_uuid", "pid", "used_gpu_memory", "process_name")

_UNKNOWN_FIELD = re.compile(r'Field "([\w.]+)" is not a valid field to query')
_NO_HANDLE = re.compile(r"Unable to determine the device handle for (GPU ?\S+?):? (.*)", re.DOTALL)
_INDEX = re.compile(r"\d{1,4}", re.ASCII)
_PID = re.compile(r"\d{1,10}", re.ASCII)
_MIG_GPU = re.compile(r"GPU \d+: .*\(UUID: (GPU-[\w-]+)\)")
_MIG_PART = re.compile(r"\s+MIG (\S+)\s+Device\s+\d+: \(UUID: (MIG-[\w/-]+)\)")

# How nvidia-smi says what NVML says with a code.
_FAILURES: tuple[tuple[str, int], ...] = (
    ("Driver/library version mismatch", Code.LIB_RM_VERSION_MISMATCH),
    ("GPU is lost", Code.GPU_IS_LOST),
    ("requires reset", Code.RESET_REQUIRED),
    ("reset required", Code.RESET_REQUIRED),
    ("couldn't communicate with the NVIDIA driver", Code.DRIVER_NOT_LOADED),
    ("Driver Not Loaded", Code.DRIVER_NOT_LOADED),
    ("Insufficient Permissions", Code.NO_PERMISSION),
    ("couldn't find libnvidia-ml.so", Code.LIBRARY_NOT_FOUND),
    ("Unknown Error", Code.UNKNOWN),
)


def unknown_field(text: str) -> str | None:
    """The field that this nvidia-smi is too old, or too new, to know; None when it knows all."""
    found = _UNKNOWN_FIELD.search(text)
    return found[1] if found else None


def parse_gpus(fields: Sequence[str], status: int, text: str) -> GpusReading:
    """What ``--query-gpu=FIELDS --format=csv,noheader,nounits`` printed, with its exit status.

    ``fields`` is GPU_FIELDS or fewer of them, in its order.
    """
    gpus: list[GpuReading] = []
    odd: str | None = None
    beyond = 0
    driver_version = None
    for line in filter(None, (line.strip() for line in text.splitlines())):
        parts = line.split(_SEPARATOR, len(fields) - 1)
        no_handle = _NO_HANDLE.match(line)
        if len(gpus) == MOST_GPUS:
            beyond += 1
        elif len(parts) == len(fields) and _INDEX.fullmatch(parts[0]):
            values = dict(zip(fields, parts, strict=True))
            gpus.append(_gpu(values))
            driver_version = _name(values.get("driver_version", "")) or driver_version
        elif no_handle:
            gpus.append(_without_handle(no_handle[1], no_handle[2], len(gpus)))
        else:
            odd = odd or line
    if gpus:
        message = f"nvidia-smi printed what cannot be read: {told_text(odd)}" if odd else None
        if beyond:
            message = f"nvidia-smi lists {beyond:,} more than the {MOST_GPUS} that are taken"
        gpus.sort(key=lambda gpu: (gpu.index, gpu.uuid))
        return GpusReading(
            state="ok", message=message, driver_version=driver_version, gpus=tuple(gpus)
        )
    return _failed(status, text)


def parse_processes(text: str) -> Mapping[str, tuple[GpuProcess, ...]]:
    """By GPU or MIG instance (UUID): what ``--query-compute-apps`` printed of PROCESS_FIELDS."""
    found: dict[str, dict[int, GpuProcess]] = {}
    for line in text.splitlines()[:MOST_PROCESSES]:
        parts = line.strip().split(_SEPARATOR, len(PROCESS_FIELDS) - 1)
        if len(parts) != len(PROCESS_FIELDS) or not _PID.fullmatch(parts[1]):
            continue
        uuid, pid, used_mb, name = parts
        process = GpuProcess(
            pid=int(pid),
            name=process_name(_known(name) or "") or None,
            vram_used_gb=_ASKED["memory.used"].of(_number(used_mb)),
        )
        found.setdefault(uuid, {})[process.pid] = process
    return {uuid: biggest_first(processes.values()) for uuid, processes in found.items()}


def parse_mig(text: str) -> Mapping[str, tuple[MigInstance, ...]]:
    """By GPU (UUID): the MIG instances that ``nvidia-smi -L`` listed."""
    found: dict[str, tuple[MigInstance, ...]] = {}
    gpu = None
    for line in text.splitlines():
        if whole := _MIG_GPU.match(line):
            gpu = whole[1]
        elif (
            (part := _MIG_PART.match(line))
            and gpu is not None
            and len(found) < MOST_GPUS
            and len(found.get(gpu, ())) < MOST_INSTANCES
        ):
            instance = MigInstance(uuid=told_text(part[2]), name=told_text(f"MIG {part[1]}"))
            found[gpu] = (*found.get(gpu, ()), instance)
    return found


def with_shares(
    gpus: GpusReading,
    processes: Mapping[str, tuple[GpuProcess, ...]] | None,
    instances: Mapping[str, tuple[MigInstance, ...]],
) -> GpusReading:
    """``gpus`` with who uses them. Processes on a MIG instance count for its GPU."""

    def shared(gpu: GpuReading) -> GpuReading:
        parts = instances.get(gpu.uuid, ())
        told = None
        if processes is not None:
            uuids = (gpu.uuid, *(part.uuid for part in parts))
            told = biggest_first(each for uuid in uuids for each in processes.get(uuid, ()))
        return replace(gpu, mig_instances=parts, processes=told)

    return replace(gpus, gpus=tuple(shared(gpu) for gpu in gpus.gpus))


def uses_mig(text: str, fields: Sequence[str]) -> bool:
    """Whether a row of ``--query-gpu`` says that a GPU is split."""
    if "mig.mode.current" not in fields:
        return False
    at = fields.index("mig.mode.current")
    rows = (line.split(_SEPARATOR) for line in text.splitlines())
    return any(len(row) > at and row[at] == "Enabled" for row in rows)


def _gpu(values: Mapping[str, str]) -> GpuReading:
    split = values.get("mig.mode.current") == "Enabled"
    numbers = {value.name: _number(values.get(smi, "")) for smi, value in _ASKED.items()}
    told: dict[str, Any] = {each.name: each.of(numbers[each.name]) for each in _ASKED.values()}
    notes = {
        value.name: value.why_not
        for value in _ASKED.values()
        if value.why_not is not None and told[value.name] is None
    }
    if split and "util_pct" in notes:
        notes["util_pct"] = nvml.UNDER_MIG
    temp_c, margin_c = told["temp_c"], told["temp_slowdown_c"]
    told["temp_slowdown_c"] = None if temp_c is None or margin_c is None else temp_c + margin_c
    return GpuReading(
        uuid=told_text(values["uuid"]),
        index=int(values["index"]),
        name=_name(values.get("name", "")) or "NVIDIA GPU",
        **told,
        throttle_reasons=_throttling(values.get("clocks_throttle_reasons.active", "")),
        problem=_problem(values.values()),
        notes=notes,
    )


def _without_handle(which: str, reason: str, position: int) -> GpuReading:
    code = _code(reason)
    problem = (
        explain_gpu(code, told_text(reason))
        if code is not None
        else f"does not answer: {told_text(reason)}"
    )
    name = told_text(which)
    return GpuReading(uuid=f"unknown-{position}", index=position, name=name, problem=problem)


def _problem(values: Iterable[str]) -> str | None:
    """Why the GPU as a whole is unwell: a lost one has the reason in place of each value."""
    for value in values:
        if value.startswith("[") and (code := _code(value)) is not None:
            return explain_gpu(code, told_text(value))
    return None


def _failed(status: int, text: str) -> GpusReading:
    if "No devices were found" in text:
        return GpusReading(state="no_gpu", message=NO_GPU)
    if status == 127:  # the shell's "not found"
        return GpusReading(
            state="no_library",
            message=(
                "nvidia-smi is not on the PATH there. With an NVIDIA GPU: install its driver, or "
                "put it on the PATH of non-interactive logins. Without one: nothing to do."
            ),
        )
    code = _code(text)
    if code is None:
        told = told_text(text) or "nothing"
        return GpusReading(
            state="error", message=f"nvidia-smi ended with {status} and said: {told}"
        )
    state, message = explain_system(code, told_text(text))
    return GpusReading(state=state, message=message)


def _code(text: str) -> int | None:
    lower = text.lower()
    return next((code for words, code in _FAILURES if words.lower() in lower), None)


def _known(text: str) -> str | None:
    """None for ``[N/A]``, ``[Not Supported]``, ``[Unknown Error]`` and the like."""
    text = text.strip()
    return None if not text or text.startswith("[") or text == "N/A" else text


def _name(text: str) -> str | None:
    told = _known(text)
    return None if told is None else told_text(told)


def _number(text: str) -> float | None:
    try:
        return float(_known(text) or "nan")
    except ValueError:
        return None


def _throttling(text: str) -> tuple[str, ...]:
    try:
        return nvml.throttle_words(int(_known(text) or "0", 16))
    except (ValueError, nvml.ImpossibleError):
        return ()
