"""What the preview runner says that it is doing: its state file, read when it has changed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from collectors.files.json_file import JsonFile
from collectors.jobs import JobQueue
from collectors.json_values import finite, or_none, whole
from control_room.rundir import RunDir

T = TypeVar("T")


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
    """The runner's state; ``updated_at`` None: none is known.

    Without a ``problem`` there has then never been a runner in this run.
    """

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
    problems: tuple[str, ...] = ()  # as the runner tells them
    problem: str | None = None  # with its file: names it, what is wrong, and what to do

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
        self._file = JsonFile(run.runner_state_file, inside=run.inside)
        self._reading = RunnerReading()

    def read(self) -> RunnerReading:
        """The newest state; the last one known, with the problem, while the file is malformed."""
        look = self._file.look(time.time())
        if look.mtime is None and look.problem is None:
            self._reading = RunnerReading()
        elif look.data is not None:
            self._reading = _reading(look.data, self._file.path)
        elif look.problem is not None:
            self._reading = replace(self._reading, problem=f"{look.problem} {_WHAT_TO_DO}")
        return self._reading


_WHAT_TO_DO = (
    "If that stays so, delete the file and start the preview runner again "
    "(python -m control_room.previews): it writes it anew."
)


def _reading(told: Mapping[str, object], file: Path) -> RunnerReading:
    """What is of a wrong kind is left out and named."""
    state = _Told(told, [])
    updated_at = state.number("updated_at")
    if updated_at is None and "updated_at" not in state.wrong:
        state.wrong.append("updated_at (missing)")
    reading = RunnerReading(
        updated_at=updated_at,
        hostname=state.text("hostname"),
        pending=state.counts("pending"),
        round=_round(state, "round"),
        last_round=_round(state, "last_round"),
        answers_per_sec=state.number("answers_per_sec"),
        tokens_per_sec=state.number("tokens_per_sec"),
        last_latency_ms=state.number("last_latency_ms"),
        last_error=state.text("last_error"),
        skipped=state.count("skipped"),
        failed=state.count("failed"),
        problems=state.texts("problems"),
    )
    if not state.wrong:
        return reading
    named = ", ".join(state.wrong)
    return replace(reading, problem=f"{file} has values of a wrong kind: {named}. {_WHAT_TO_DO}")


def _round(state: _Told, name: str) -> RoundReading | None:
    told = state.inner(name)
    if told is None:
        return None
    kind, checkpoint = told.text("kind"), told.text("checkpoint")
    if kind is None or checkpoint is None:
        state.wrong.append(name)
        return None
    reading = RoundReading(
        kind=kind,
        checkpoint=checkpoint,
        answered=told.count("answered"),
        total=told.count("total"),
        errors=told.count("errors"),
        correct=told.count("correct"),
        outcome=told.text("outcome"),
        reason=told.text("reason"),
    )
    state.wrong.extend(f"{name}.{each}" for each in told.wrong)
    return reading


@dataclass(frozen=True, slots=True)
class _Told:
    """A JSON object's values by kind. None: not told, or of another kind and then in ``wrong``."""

    values: Mapping[str, object]
    wrong: list[str]

    def text(self, name: str) -> str | None:
        value = self._of(name, str)
        return value or None if isinstance(value, str) else None

    def number(self, name: str) -> float | None:
        return self._checked(name, or_none(finite, self.values.get(name)))

    def count(self, name: str) -> int | None:
        return self._checked(name, or_none(whole, self.values.get(name)))

    def counts(self, name: str) -> Mapping[str, int]:
        inner = self.inner(name)
        if inner is None:
            return {}
        found = {key: inner.count(key) for key in inner.values}
        self.wrong.extend(f"{name}.{key}" for key in inner.wrong)
        return {key: count for key, count in found.items() if count is not None}

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._of(name, list)
        return tuple(map(str, value)) if isinstance(value, list) else ()

    def inner(self, name: str) -> _Told | None:
        value = self._of(name, dict)
        return _Told(value, []) if isinstance(value, dict) else None

    def _of(self, name: str, kind: type) -> object:
        value = self.values.get(name)
        return self._checked(name, value if isinstance(value, kind) else None)

    def _checked(self, name: str, found: T | None) -> T | None:
        if found is None and self.values.get(name) is not None:
            self.wrong.append(name)
        return found
