"""What the runner is doing, for the app: one small file, replaced atomically."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from control_room.previews.log import Tally
from control_room.previews.round import RoundPlan
from control_room.recording.records import PreviewRecord
from control_room.rundir import RunDir

WRITE_EVERY_S = 0.5
_SPEED_WINDOW_S = 60.0


@dataclass
class RunnerState:
    """Kept by the runner's threads; :meth:`write` is the only thing that touches the disk."""

    run: RunDir
    pending: Mapping[str, int] = field(default_factory=dict)  # rounds that wait, by kind
    problems: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of the last, by kind
    skipped: int = 0
    failed: int = 0
    _plan: RoundPlan | None = None
    _tally: Tally | None = None
    _total: int = 0
    _began_at: float = 0.0
    _last_latency_ms: float | None = None
    _last_error: str | None = None
    _last_end: Mapping[str, Any] | None = None
    _recent: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=2000))
    _written_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, plan: RoundPlan, tally: Tally, total: int) -> None:
        """A round begins that is to bring ``total`` answers."""
        self._plan, self._tally, self._total = plan, tally, total
        self._began_at = time.time()
        self.write()

    def answered(self, record: PreviewRecord) -> None:
        """An answer is in the log."""
        self._recent.append((time.time(), record.model_tokens or 0))
        if record.error is not None:
            self._last_error = record.error
        elif record.generation_time_ms is not None:
            self._last_latency_ms = record.generation_time_ms
        if time.time() - self._written_at >= WRITE_EVERY_S:
            self.write()

    def away(self, reason: str) -> None:
        """The server cannot be reached."""
        if reason != self._last_error:
            self._last_error = reason
            self.write()

    def end(self, told: Mapping[str, Any]) -> None:
        """A round is over."""
        self._plan = self._tally = None
        self._last_end = told
        self.skipped += told["outcome"] == "skipped"
        self.failed += told["outcome"] == "failed"
        self.write()

    def write(self) -> None:
        """Replace the file. A disk that does not take it is no reason to stop asking."""
        with self._lock:
            self._replace()

    def _replace(self) -> None:
        self._written_at = time.time()
        with suppress(OSError):
            content = json.dumps(self._told()).encode()
            self.run.inside.replace(self.run.runner_state_file, content)

    def _told(self) -> Mapping[str, Any]:
        now = time.time()
        recent = [(at, count) for at, count in list(self._recent) if now - at <= _SPEED_WINDOW_S]
        since_s = now - min([at for at, _ in recent], default=now)
        tokens = sum(count for _, count in recent)
        speed = {
            "answers_per_sec": round(len(recent) / since_s, 3) if since_s > 1 else None,
            "tokens_per_sec": round(tokens / since_s, 1) if since_s > 1 else None,
        }
        return {
            "pid": os.getpid(),
            "hostname": socket.gethostname(),
            "updated_at": now,
            "pending": dict(self.pending),
            "round": self._round(),
            "last_round": self._last_end,
            "last_latency_ms": self._last_latency_ms,
            "last_error": self._last_error,
            "skipped": self.skipped,
            "failed": self.failed,
            "problems": list(dict.fromkeys(chain.from_iterable(self.problems.values()))),
            **speed,
        }

    def _round(self) -> Mapping[str, Any] | None:
        plan, tally = self._plan, self._tally
        if plan is None or tally is None:
            return None
        return {
            "id": plan.round_id,
            "kind": plan.kind,
            "checkpoint": plan.checkpoint.name,
            "step": plan.checkpoint.step,
            "answered": tally.answered,
            "total": self._total,
            "errors": tally.errors,
            "correct": tally.correct,
            "began_at": self._began_at,
            "deadline_s": plan.deadline_s,
        }
