"""A run's training state, from its status file, control state and logs.

The status file is replaced as a whole, and each kind of update fills only part of it. The reading
keeps the last known value of each field, and ``seen_at`` tells when it was last written.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from typing import Any

from collectors.files.json_file import JsonFile, for_browsers
from collectors.files.training.control_state import pause_reason_of, says_paused
from collectors.files.training.liveness import LivenessPolicy, ProcessWatch, SignsOfLife, judge
from collectors.files.training.reading import Liveness, TrainingReading
from collectors.files.training.refused import RefusedLines
from collectors.files.training.run_logs import RunLogs
from collectors.files.training.run_state import ETAS, RunState
from collectors.files.training.session import Session
from collectors.files.training.status_file import StatusWrite, parse_status
from control_room.recording.closed_words import RunStatus
from control_room.rundir import RunDir

_MAX_READ_GAP_S = 30.0  # after a longer one it is not known what happened when
_PAUSE_HOLDS_S = 60.0  # a run that still writes its status this long after a pause goes on


class TrainingWatch:
    """Reads one run again and again; remembers what a single write of the status leaves out.

    Nothing is ever written. Not safe for threads: one sampler asks.
    """

    def __init__(
        self,
        run: RunDir,
        policy: LivenessPolicy | None = None,
        *,
        degraded_ratio: float = 0.8,
        excellent_ratio: float = 1.1,
        hostname: str | None = None,
    ) -> None:
        """The ratios are of the session's median tokens per second.

        ``hostname`` is this machine's name as a trainer on it writes it; None asks the system.
        """
        self._run = run
        self._policy = policy or LivenessPolicy()
        self._status_file = JsonFile(run.status_file, inside=run.inside)
        self._control_file = JsonFile(run.control_state_file, inside=run.inside)
        self._logs = RunLogs(run)
        self._refused = RefusedLines(run.logs("refused"))
        self._process = ProcessWatch(hostname)
        self._signs = SignsOfLife(self._policy)
        self._state = RunState(
            Session(
                max_gap_s=self._policy.longest_s,
                degraded_ratio=degraded_ratio,
                excellent_ratio=excellent_ratio,
            )
        )
        self._status_clock, self._point_clock, self._sample_clock = _Clock(), _Clock(), _Clock()
        self._read_at: float | None = None
        self._status_mtime: float | None = None
        self._status_json: bytes | None = None
        self._control_mtime = -math.inf
        self._control_paused: bool | None = None
        self._control_reason: str | None = None

    def read(self, now: float) -> TrainingReading:
        """Look at everything that changed since the last call. ``now`` is in epoch seconds.

        Never raises for what is in the run directory: ``problems`` tells what is wrong with it.
        """
        if self._read_at is not None and not 0 <= now - self._read_at <= _MAX_READ_GAP_S:
            self._signs.interrupt()
        write, problems = self._look_at_status(now)
        problems += self._look_at_control(now)
        problems += self._look_at_logs(now)
        at = self._state.updated_at
        if write is not None and at is not None and self._state.take_status_steps(write, at):
            self._signs.restart()
        status = self._status()
        if status != "training":
            self._state.session.pace.interrupt()
        if status != "training" or self._state.phase not in (None, "training"):
            self._signs.interrupt()
        self._read_at = now
        return self._reading(status, now, problems + self._doubts(now))

    def _look_at_status(self, now: float) -> tuple[StatusWrite | None, list[str]]:
        """The write when it is new, and what is wrong with it or the newest one before."""
        look = self._status_file.look(now)
        if look.mtime is None and look.problem is None:
            return None, [self._why_no_status()]
        write = None
        if look.data is not None and look.mtime is not None:
            write = parse_status(look.data)
            self._status_json = None if look.content is None else for_browsers(look.content)
            self._state.take_status(
                write, self._status_clock.read(write.written_at, now, look.mtime)
            )
        if look.mtime is not None and look.mtime != self._status_mtime:
            at, updated_at = look.mtime, self._state.updated_at
            if self._status_mtime is None and updated_at is not None:
                at = min(at, updated_at)  # a copied directory is as old as its content
            self._saw_sign(at, now)
            self._status_mtime = look.mtime
        return write, [] if look.problem is None else [look.problem]

    def _why_no_status(self) -> str:
        path = self._status_file.path
        if self._state.write is not None:
            return f"{path} was removed: the last known values are shown."
        if not self._run.path.is_dir():
            return (
                f"{self._run.path} is not there, or no directory: create it, or set run_dir to "
                "the directory that the trainer writes to."
            )
        return f"{path} is not there yet: it appears when a trainer records into this directory."

    def _look_at_control(self, now: float) -> list[str]:
        look = self._control_file.look(now)
        if look.mtime is None:
            self._control_paused = None
        elif look.data is not None:
            self._control_paused = says_paused(look.data)
            self._control_reason = pause_reason_of(look.data)
            self._control_mtime = look.mtime
        return [] if look.problem is None else [look.problem]

    def _look_at_logs(self, now: float) -> list[str]:
        news = self._logs.look(now)
        if news.was_replaced:
            self._state.forget_steps()
        before: float | None = None
        for point in news.points:
            at = self._point_clock.read(point.ts, now)
            begins = self._state.take_point(point, at)
            if begins:
                self._signs.restart()
            elif self._read_at is None and before is not None and at > before:
                self._signs.interval(at - before)
            before = at
        if news.was_cut:
            self._state.segments.forget_start()
        for sample in news.samples:
            self._state.take_sample(sample, self._sample_clock.read(sample.ts, now))
        self._refused.take(news.refused, now)
        if news.wrote_at is not None:
            self._saw_sign(news.wrote_at, now)
        return list(news.problems)

    def _saw_sign(self, at: float, now: float) -> None:
        """Something was written. Where that was watched, only this machine's clock counts."""
        earliest = -math.inf if self._read_at is None else self._read_at
        self._signs.saw(min(now, max(at, earliest)))

    def _status(self) -> RunStatus | None:
        told = self._state.status
        if self._control_paused and told in (None, "training"):
            mtime = self._status_mtime
            if mtime is None or mtime - self._control_mtime <= _PAUSE_HOLDS_S:
                return "paused"
        return told

    def _pause_reason(self) -> str | None:
        """The trainer's own word first; a control file may be of an earlier pause."""
        write = self._state.write
        told = None if write is None else write.pause_reason
        return told or (self._control_reason if self._control_paused else None)

    def _doubts(self, now: float) -> list[str]:
        """What is readable and yet wrong."""
        doubts = []
        path, write = self._status_file.path, self._state.write
        if write is not None:
            doubts += [f"{path}: {problem}" for problem in write.problems]
            if write.recorder_trouble:
                doubts.append(
                    f"{path}: the trainer cannot record: {write.recorder_trouble} Look at the "
                    "disk of the run directory."
                )
        told, since = (None, None) if write is None else (write.refused, write.writer.started_at)
        if (refused := self._refused.problem(now, told, since)) is not None:
            doubts.append(refused)
        if (clash := self._state.segments.clash(now)) is not None:
            doubts.append(f"{self._run.path}: {clash}")
        if (divergence := self._state.divergence()) is not None:
            source = self._run.logs("metrics") if self._state.has_points else path
            doubts.append(f"{source}: {divergence}")
        return doubts

    def _reading(
        self, status: RunStatus | None, now: float, problems: list[str]
    ) -> TrainingReading:
        state, write = self._state, self._state.write
        phase = state.phase if status == "training" else None
        step = state.known.get("current_step")
        liveness = judge(status, phase, step, self._signs, self._policy, now)
        error_message = None if write is None else write.error_message
        if self._has_ended(status, liveness, now) and write is not None:
            status, pid = "crashed", write.writer.pid
            error_message = error_message or f"the process (pid {pid}) ended without saying so"
            reason = f"the process (pid {pid}) no longer exists"
            liveness = replace(liveness, state="ended", reason=reason)
        values, derived = self._values(is_going_on=status == "training" and not liveness.reason)
        return TrainingReading(
            run_id=(write.writer.run_id if write else None) or self._run.path.resolve().name,
            status=status,
            liveness=liveness,
            phase=phase,
            error_message=error_message,
            error_type=None if write is None else write.error_type,
            pause_reason=self._pause_reason() if status == "paused" else None,
            updated_at=state.updated_at,
            seen_at=state.known.times(),
            derived=derived,
            recent_losses=state.session.losses.recent,
            segment_start_step=state.segments.start_step,
            segment_count=state.segments.count,
            throughput_samples=tuple(state.samples),
            problems=tuple(problems),
            status_json=self._status_json,
            **values,
        )

    def _values(self, *, is_going_on: bool) -> tuple[dict[str, Any], frozenset[str]]:
        """The fields of the reading that the trainer tells or that follow from them; which do."""
        state = self._state
        computed = state.session.derive(state.known)
        derived = set(computed)
        if state.speed_is_computed:
            derived.add("tokens_per_sec")
        validation = state.session.validation(state.known)
        derived |= {name for name, value in validation.items() if value is not None}
        if validation.get("val_train_gap") == state.known.get("val_train_gap"):
            derived.discard("val_train_gap")
        values = {**state.known.values(), **computed, **validation}
        for name in ETAS:
            values.pop(name, None)
        if is_going_on:
            told = {} if state.write is None else state.write.values
            etas = state.etas()
            values |= etas
            derived |= {name for name in ETAS if etas[name] is not None and name not in told}
        return values, frozenset(derived)

    def _has_ended(self, status: RunStatus | None, liveness: Liveness, now: float) -> bool:
        """Whether a run that says "training" is proven to be over."""
        write, silent_s, patience_s = self._state.write, liveness.silent_s, liveness.patience_s
        if status != "training" or write is None or silent_s is None or patience_s is None:
            return False
        return self._process.is_gone(
            write.writer, silent_s=silent_s, patience_s=patience_s, now=now
        )


class _Clock:
    """The times of one source, in the order it told them: no later than now, never back.

    A clock that is set back (or a local time without its zone, in autumn) must not make what is
    told now look older than what is known.
    """

    def __init__(self) -> None:
        self._last = -math.inf

    def read(
        self, ts: datetime | float | None, now: float, otherwise: float | None = None
    ) -> float:
        """``ts`` as epoch seconds; ``otherwise`` (or now) where it is None or goes back."""
        told = ts.timestamp() if isinstance(ts, datetime) else ts
        if told is None or told < self._last:
            told = now if otherwise is None else otherwise
        self._last = min(now, max(told, self._last))
        return self._last
