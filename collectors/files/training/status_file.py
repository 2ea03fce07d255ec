"""What one write of the status file says, in this project's format and in the daemon trainer's.

Each field is checked by itself: a wrong one is left out and named, the rest is used.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from collectors.files.training.refused import Refused, refused_of
from collectors.files.training.reported_values import (
    Partly,
    alerts_of,
    day_of,
    domains_of,
    evals_of,
    heatmap_of,
    samples_of,
    snapshots_of,
)
from collectors.files.training.trend_words import (
    eval_trend_of,
    loss_trend_of,
    throughput_trend_of,
)
from collectors.json_values import (
    WrongTypeError,
    any_float,
    duration_s,
    epoch_seconds,
    finite,
    flag,
    fraction,
    not_negative,
    text,
    whole,
    word,
)
from control_room.recording.closed_words import Phase, RunStatus
from control_room.recording.metrics import LIVE
from control_room.rundir import QUEUE_PRIORITIES

_STATUS_WORDS: dict[str, tuple[RunStatus, Phase | None]] = {
    "idle": ("idle", None),
    "training": ("training", None),
    "running": ("training", None),
    "resumed": ("training", None),
    "stopping": ("training", None),
    "skipping": ("training", None),
    "saving": ("training", "saving"),
    "evaluating": ("training", "evaluating"),
    "previewing": ("training", "previewing"),
    "paused": ("paused", None),
    "completed": ("completed", None),
    "finished": ("completed", None),
    "done": ("completed", None),
    "crashed": ("crashed", None),
    "failed": ("crashed", None),
    "error": ("crashed", None),
}
_PHASE_WORDS: dict[str, Phase] = {
    "training": "training",
    "saving": "saving",
    "saving_checkpoint": "saving",
    "checkpointing": "saving",
    "evaluating": "evaluating",
    "evaluation": "evaluating",
    "validating": "evaluating",
    "validation": "evaluating",
    "previewing": "previewing",
    "preview": "previewing",
    "inference": "previewing",
}


@dataclass(frozen=True, slots=True)
class Writer:
    """Which process wrote. All None for a writer that does not say."""

    run_id: str | None = None
    hostname: str | None = None
    pid: int | None = None
    started_at: float | None = None  # epoch seconds

    @property
    def is_known(self) -> bool:
        """Whether two writers can be told apart by this."""
        return self.pid is not None or self.started_at is not None or self.run_id is not None

    @property
    def repeats(self) -> bool:
        """Whether each write repeats all that was ever told, as this project's recorder does.

        It alone tells its pid. The daemon trainer fills in nulls, or zeros at the end,
        where it has nothing to say.
        """
        return self.pid is not None

    def __str__(self) -> str:
        where = "" if self.hostname is None else f" on {self.hostname}"
        if self.pid is not None:
            return f"pid {self.pid}{where}"
        return f"run {self.run_id}{where}" if self.run_id else f"a process{where}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusWrite:
    """One write, normalised. ``values`` has only the fields of a reading that it filled."""

    status: RunStatus | None
    phase: Phase | None
    values: Mapping[str, Any]
    writer: Writer
    written_at: float | None  # epoch seconds, by the writer's own clock
    unset: frozenset[str] = frozenset()  # fields that are said to be no longer known
    recorder_trouble: str | None = None  # what this project's recorder could not write
    refused: Refused | None = None  # and what it refused
    error_message: str | None = None
    error_type: str | None = None
    pause_reason: str | None = None
    problems: tuple[str, ...] = ()  # without the file's name


_Parse = Callable[[object], Any]
_NUMBERS: Mapping[str, _Parse] = {
    "any": any_float,
    "finite": finite,
    "not negative": not_negative,
}

# Field of the reading, its names in the file (the first that is filled counts; a dot leads into
# an object), its parser.
_FIELDS: tuple[tuple[str, tuple[str, ...], _Parse], ...] = (
    ("model_name", ("model_name", "current_model_name"), text),
    ("checkpoint_id", ("current_checkpoint_id", "checkpoint_id", "current_checkpoint"), text),
    ("current_step", ("current_step",), whole),
    ("total_steps", ("total_steps",), whole),
    *((each.name, (each.name, *each.status_names), _NUMBERS[each.allowed]) for each in LIVE),
    ("loss_trend", ("loss_trend",), loss_trend_of),
    ("fixed_eval_em", ("fixed_eval_em", "fixed_eval.em"), fraction),
    ("fixed_eval_ce", ("fixed_eval_ce", "fixed_eval.ce"), finite),
    ("fixed_eval_ece", ("fixed_eval_ece", "fixed_eval.ece"), finite),
    ("fixed_eval_step", ("fixed_eval_step", "fixed_eval.step"), whole),
    ("fixed_eval_trend", ("fixed_eval_trend",), eval_trend_of),
    ("fixed_eval_timestamp", ("fixed_eval.timestamp",), epoch_seconds),
    ("fixed_eval_domains", ("fixed_eval.by_domain",), domains_of),
    ("fixed_eval_history", ("fixed_eval_history",), evals_of),
    ("micro_eval_loss", ("micro_eval.loss",), any_float),
    ("micro_eval_step", ("micro_eval.step",), whole),
    ("recent_snapshots", ("recent_snapshots",), snapshots_of),
    ("latest_snapshot_date", ("latest_snapshot_date",), day_of),
    ("throughput_trend", ("throughput_trend",), throughput_trend_of),
    ("throughput_samples", ("throughput_vram_samples",), samples_of),
    ("batch_step", ("batch_step",), whole),
    ("batch_total_steps", ("batch_total_steps",), whole),
    ("batch_number", ("batch_number",), whole),
    ("batch_queue_size", ("batch_queue_size",), whole),
    ("current_file", ("current_file",), text),
    ("dataset_id", ("dataset_id",), text),
    ("eta_current_file_s", ("eta_current_file_s", "eta_current_file"), duration_s),
    ("eta_overall_s", ("eta_overall_s", "eta_seconds"), duration_s),
    ("eta_queued_s", ("eta_queued_s", "eta_overall"), duration_s),
    ("last_preview_latency_ms", ("last_preview_latency_ms",), not_negative),
    ("pattern_heatmap", ("pattern_heatmap",), heatmap_of),
    ("active_alerts", ("active_alerts",), alerts_of),
)
_JOBS_PENDING = "_jobs_pending"
_QUEUES = {f"queue_{priority}": f"training_{priority}" for priority in QUEUE_PRIORITIES}
# The daemon trainer tells these and its alerts in one write, and no alerts as null.
_TOLD_WITH_ALERTS = ("streaming_ce", "loss_variance", "loss_trend", "tokens_per_sec_avg")


class _Taker:
    """Takes fields out of one write and notes those that cannot be used."""

    def __init__(self, data: Mapping[str, object]) -> None:
        self._data = data
        self.problems: list[str] = []

    def take(self, parse: _Parse, *names: str) -> Any:
        """The first of ``names`` that is filled, parsed; None when there is none that can be."""
        for name in names:
            outer, dot, _ = name.partition(".")
            if dot and not isinstance(self._data.get(outer), dict | None):
                self.problems.append(f"{outer} is left out: expected an object.")
            value = told(self._data, name)
            if value is None or value == "":
                continue
            try:
                parsed = parse(value)
            except WrongTypeError as error:
                shown = reprlib.repr(value).encode("utf-8", "replace").decode("utf-8")
                self.problems.append(f"{name} = {shown} is left out: expected {error}.")
                continue
            if isinstance(parsed, Partly):
                self.problems.append(f"{name}: {parsed.problem}")
                return parsed.value
            return parsed
        return None


def told(data: Mapping[str, object], name: str, absent: object = None) -> object:
    """The field ``name``, of the object that its part before a dot names."""
    outer, dot, inner = name.partition(".")
    value = data.get(outer, absent)
    if not dot or value is None:
        return value
    return value.get(inner, absent) if isinstance(value, dict) else absent


def parse_status(data: Mapping[str, object]) -> StatusWrite:
    """Normalise one write. Never raises: what cannot be used is named in ``problems``."""
    taker = _Taker(data)
    status, phase = _status(taker)
    writer = Writer(
        run_id=taker.take(text, "run_id"),
        hostname=taker.take(text, "hostname"),
        pid=taker.take(whole, "pid"),
        started_at=taker.take(epoch_seconds, "started_at"),
    )
    values = {
        name: value
        for name, names, parse in _FIELDS
        if (value := taker.take(parse, *names)) is not None
    }
    if jobs := _jobs(data, taker):
        values["jobs_pending"] = jobs
    if _tells_an_answer(data):
        values.pop("loss", None)
    unset: frozenset[str] = frozenset()
    if writer.repeats:
        unset = frozenset(
            name
            for name, names, _ in _FIELDS
            if name not in values and any(told(data, key, 0) is None for key in names)
        )
    elif "active_alerts" not in values and values.keys() & _TOLD_WITH_ALERTS:
        unset = frozenset({"active_alerts"})
    if not writer.repeats and status in ("completed", "crashed"):
        values = {name: value for name, value in values.items() if value != 0}
    return StatusWrite(
        status=status,
        phase=phase,
        values=values,
        writer=writer,
        written_at=taker.take(epoch_seconds, "timestamp"),
        unset=unset,
        recorder_trouble=taker.take(_trouble, "recorder_errors"),
        refused=taker.take(refused_of, "recorder_refused"),
        error_message=taker.take(text, "error_message"),
        error_type=taker.take(text, "error_type"),
        pause_reason=taker.take(text, "pause_reason"),
        problems=tuple(dict.fromkeys(taker.problems)),
    )


def _tells_an_answer(data: Mapping[str, object]) -> bool:
    """Whether the daemon trainer wrote this for an answer that the model gave.

    The loss is then that of the example, which stands in the newest of the recent ones as well.
    """
    recent = data.get("recent_examples")
    newest = recent[-1] if isinstance(recent, list) and recent else None
    if not isinstance(newest, dict) or newest.get("loss") is None:
        return False
    return (newest.get("step"), newest["loss"]) == (data.get("current_step"), data.get("loss"))


def _jobs(data: Mapping[str, object], taker: _Taker) -> dict[str, int]:
    """How many jobs wait, by kind."""
    kinds = {
        name: name.removesuffix(_JOBS_PENDING) for name in data if name.endswith(_JOBS_PENDING)
    }
    counts = {kind: taker.take(whole, name) for name, kind in (kinds | _QUEUES).items()}
    return {text(kind): count for kind, count in counts.items() if kind and count is not None}


def _trouble(value: object) -> str:
    """In words: which records could not be written, and how many are lost."""
    if isinstance(value, str):
        return text(value)
    if not isinstance(value, dict):
        return f"{whole(value)} writes failed"
    dropped = value.get("dropped")
    counts = dropped.values() if isinstance(dropped, dict) else ()
    lost = sum(count for count in counts if isinstance(count, int))
    message = value.get("message")
    said = text(message) if isinstance(message, str) else "Records could not be written."
    return f"{said} {lost} records are lost." if lost else said


def _status(taker: _Taker) -> tuple[RunStatus | None, Phase | None]:
    phase = taker.take(lambda value: word(value, _PHASE_WORDS), "phase")
    told = taker.take(lambda value: word(value, _STATUS_WORDS), "status")
    if told is not None:
        status, implied = told
        return status, phase or implied
    is_paused = taker.take(flag, "is_paused")
    is_training = taker.take(flag, "is_training")
    if is_paused:
        return "paused", phase
    return (None if is_training is None else "training" if is_training else "idle"), phase
