"""What the preview runner says that it is doing: its state file, read when it has changed."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from collectors.jobs import JobQueue
from collectors.training.json_file import JsonFile
from control_room.rundir import RunDir


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundReading:
    """A round: the one that runs, or how the last one ended. None: not told."""

    kind: str
    checkpoint: str
    answered: int | None = None
    total: int | None = None
    errors: int | None = None
    correct: int | None = None
    outcome: str | None = None  # None: it runs
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerReading:
    """The runner's state; ``updated_at`` None: there has never been one in this run."""

    updated_at: float | None = None  # epoch seconds
    hostname: str | None = None
    pending: Mapping[str, int] | None = None  # rounds that wait, by kind
    round: RoundReading | None = None
    last_round: RoundReading | None = None
    answers_per_sec: float | None = None
    tokens_per_sec: float | None = None
    last_latency_ms: float | None = None
    last_error: str | None = None
    skipped: int | None = None
    failed: int | None = None
    problems: tuple[str, ...] = ()

    def jobs(self) -> tuple[JobQueue, ...]:
        """Its rounds as job queues."""
        if self.updated_at is None:
            return ()
        pending = self.pending or {}
        running = None if self.round is None else self.round.kind
        kinds = sorted({"preview", "eval", *pending, *([running] if running else [])})
        return tuple(
            JobQueue(
                kind=kind,
                pending=pending.get(kind, 0),
                running=int(kind == running),
                last_latency_ms=self.last_latency_ms if kind == "preview" else None,
            )
            for kind in kinds
        )


class RunnerWatch:
    """Reads the state file again and again, from one thread."""

    def __init__(self, run: RunDir) -> None:
        self._file = JsonFile(run.runner_state_file)
        self._reading = RunnerReading()

    def read(self) -> RunnerReading:
        """The newest state; the last one known while the file cannot be read."""
        look = self._file.look(time.time())
        if look.mtime is None and look.problem is None:
            self._reading = RunnerReading()
        elif look.data is not None:
            self._reading = _reading(look.data)
        return self._reading


def _reading(told: Mapping[str, object]) -> RunnerReading:
    pending, problems = told.get("pending"), told.get("problems")
    counts = pending.items() if isinstance(pending, dict) else ()
    return RunnerReading(
        updated_at=_number(told.get("updated_at")),
        hostname=_text(told.get("hostname")),
        pending={str(kind): n for kind, count in counts if (n := _count(count)) is not None},
        round=_round(told.get("round")),
        last_round=_round(told.get("last_round")),
        answers_per_sec=_number(told.get("answers_per_sec")),
        tokens_per_sec=_number(told.get("tokens_per_sec")),
        last_latency_ms=_number(told.get("last_latency_ms")),
        last_error=_text(told.get("last_error")),
        skipped=_count(told.get("skipped")),
        failed=_count(told.get("failed")),
        problems=tuple(map(str, problems)) if isinstance(problems, list) else (),
    )


def _round(told: object) -> RoundReading | None:
    if not isinstance(told, dict):
        return None
    kind, checkpoint = _text(told.get("kind")), _text(told.get("checkpoint"))
    if kind is None or checkpoint is None:
        return None
    return RoundReading(
        kind=kind,
        checkpoint=checkpoint,
        answered=_count(told.get("answered")),
        total=_count(told.get("total")),
        errors=_count(told.get("errors")),
        correct=_count(told.get("correct")),
        outcome=_text(told.get("outcome")),
        reason=_text(told.get("reason")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _count(value: object) -> int | None:
    number = _number(value)
    return None if number is None or number < 0 else int(number)
