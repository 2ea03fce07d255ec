"""Whether a run is alive: how long it may be silent, and when silence is proof of its end.

Silence alone is a stall. Only a process that is known to be gone, or the trainer's own word, is
the end.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass

import psutil

from collectors.files.training.reading import Liveness
from collectors.files.training.status_file import Writer
from control_room.recording.closed_words import Phase, RunStatus

_MAX_PID = 2**22  # the most that Linux hands out
_CHECK_EVERY_S = 2.0
_REUSE_SLACK_S = 60.0  # clocks are set while processes run, which moves their start times
_LAST_WORDS_S = 3.0  # what an ending process wrote may be seen after it is gone

_WHILE: dict[Phase, str] = {
    "training": "",
    "saving": " while saving a checkpoint",
    "evaluating": " while evaluating",
    "previewing": " while previewing",
}


@dataclass(frozen=True, slots=True)
class LivenessPolicy:
    """When silence becomes a stall, in seconds except the factor."""

    slowest_interval_factor: float = 6.0
    min_s: float = 90.0
    saving_s: float = 600.0
    evaluating_s: float = 1800.0
    previewing_s: float = 1800.0

    def patience_s(self, phase: Phase | None, slowest_interval_s: float | None) -> float:
        """How long a run in ``phase`` may be silent, given the slowest interval it has shown."""
        usual = max(self.min_s, self.slowest_interval_factor * (slowest_interval_s or 0.0))
        of_phase: dict[Phase | None, float] = {
            "saving": self.saving_s,
            "evaluating": self.evaluating_s,
            "previewing": self.previewing_s,
        }
        return max(usual, of_phase.get(phase, 0.0))

    @property
    def longest_s(self) -> float:
        """The longest silence that is still no stall, whatever the phase, before any history."""
        return max(self.min_s, self.saving_s, self.evaluating_s, self.previewing_s)


class SignsOfLife:
    """When the run last wrote anything, and the slowest interval between two writes so far.

    An interval longer than the patience of its time was a stall, and counts as usual only when
    another as long has been seen: a suspended machine must not teach patience.
    """

    def __init__(self, policy: LivenessPolicy) -> None:
        self._policy = policy
        self.last_at: float | None = None
        self.slowest_interval_s: float | None = None
        self._longest_stall_s = 0.0
        self._is_broken = True

    def saw(self, at: float) -> None:
        """Something was written at ``at`` (epoch seconds)."""
        if self.last_at is not None and at <= self.last_at:
            return
        if self.last_at is not None and not self._is_broken:
            self.interval(at - self.last_at)
        self.last_at, self._is_broken = at, False

    def interval(self, interval_s: float) -> None:
        """Note an interval between two writes of this session."""
        if interval_s > self._policy.patience_s(None, self.slowest_interval_s):
            stalls = (self._longest_stall_s, interval_s)
            interval_s, self._longest_stall_s = min(stalls), max(stalls)
        self.slowest_interval_s = max(self.slowest_interval_s or 0.0, interval_s)

    def interrupt(self) -> None:
        """The interval to the next write says nothing about the usual pace."""
        self._is_broken = True

    def restart(self) -> None:
        """A new session shows its own intervals."""
        self.slowest_interval_s, self._longest_stall_s, self._is_broken = None, 0.0, True


class ProcessWatch:
    """Whether the process that writes the status file still exists on this machine."""

    def __init__(self, hostname: str | None = None) -> None:
        self._hostname = platform.node() if hostname is None else hostname
        self._writer: Writer | None = None
        self._was_here = False
        self._is_gone = False
        self._checked_at: float | None = None

    def is_gone(self, writer: Writer, *, silent_s: float, patience_s: float, now: float) -> bool:
        """Whether ``writer`` is proven to have ended.

        A process that was seen here and is no more is proof. One that was never seen may live in
        another container under the same host name, and is given up only with its patience.
        """
        if writer.pid is None or writer.hostname != self._hostname:
            return False
        if writer != self._writer:
            self._writer, self._was_here, self._checked_at = writer, False, None
        if self._checked_at is None or not 0 <= now - self._checked_at < _CHECK_EVERY_S:
            self._checked_at = now
            self._is_gone = not _runs(writer.pid, writer.started_at)
            self._was_here |= not self._is_gone
        return self._is_gone and silent_s > (_LAST_WORDS_S if self._was_here else patience_s)


def judge(
    status: RunStatus | None,
    phase: Phase | None,
    step: int | None,
    signs: SignsOfLife,
    policy: LivenessPolicy,
    now: float,
) -> Liveness:
    """Weigh the silence of a run that says ``status``; proof of its end is not asked for here."""
    silent_s = None if signs.last_at is None else max(0.0, now - signs.last_at)
    if status is None or silent_s is None:
        return Liveness(state="unknown", silent_s=silent_s, patience_s=None)
    if status in ("completed", "crashed", "idle"):
        return Liveness(state="ended", silent_s=silent_s, patience_s=None)
    if status == "paused":
        return Liveness(state="live", silent_s=silent_s, patience_s=None)
    patience_s = policy.patience_s(phase, signs.slowest_interval_s)
    if silent_s <= patience_s:
        return Liveness(state="live", silent_s=silent_s, patience_s=patience_s)
    last = "the status file" if step is None else f"step {step}"
    usual = signs.slowest_interval_s
    reason = f"no write for {in_words(silent_s)}; last: {last}{_WHILE[phase or 'training']}" + (
        "" if usual is None else f"; slowest usual interval {in_words(usual)}"
    )
    return Liveness(state="stalled", silent_s=silent_s, patience_s=patience_s, reason=reason)


def in_words(duration_s: float) -> str:
    """A duration for a person: "0.5 s", "3 min 20 s", "2 h 5 min", "3 d 4 h"."""
    if duration_s < 10:
        return f"{duration_s:.1f} s".replace(".0 s", " s")
    whole = round(duration_s)
    for size, unit, next_size, next_unit in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // next_size
            return f"{whole // size} {unit}" + (f" {rest} {next_unit}" if rest else "")
    return f"{whole} s"


def _runs(pid: int, started_at: float | None) -> bool:
    """Whether the process that began to record at ``started_at`` is there under its ``pid``."""
    if not 0 < pid <= _MAX_PID or not psutil.pid_exists(pid):
        return False
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        # A process that is younger than the recording has been given the number of the old one.
        return started_at is None or process.create_time() <= started_at + _REUSE_SLACK_S
    except psutil.NoSuchProcess:
        # Where /proc hides other users' processes this is said of living ones too.
        return psutil.pid_exists(pid)
    except psutil.AccessDenied:
        return True
