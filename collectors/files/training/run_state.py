"""What is known about a run: every write of its status and every log line, merged by time."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

from collectors.files.training.known_values import KnownValues
from collectors.files.training.reported import ToldSample
from collectors.files.training.segments import Segments
from collectors.files.training.session import Session
from collectors.files.training.status_file import StatusWrite
from control_room.recording.closed_words import Phase, RunStatus
from control_room.recording.metrics import LIVE, METRICS
from control_room.recording.records import MetricPoint, ThroughputSample

ETAS = ("eta_current_file_s", "eta_overall_s", "eta_queued_s")
ENDS = ("completed", "crashed")
# Of a metric point as they are; the speed may have to be worked out.
_PER_STEP = tuple(m.name for m in METRICS if m.logged and m.live and m.name != "tokens_per_sec")
# What a process tells of itself: with the next one it no longer holds. How far the run was and
# what it is stays.
_OF_PROCESS = (
    *(metric.name for metric in LIVE if not metric.outlives_process),
    *("loss_trend", "throughput_trend", "batch_step", "batch_total_steps"),
    *("batch_number", "batch_queue_size", "active_alerts", "jobs_pending"),
    *("last_preview_latency_ms", *ETAS),
)
_OF_EVAL = frozenset(
    {
        *("fixed_eval_em", "fixed_eval_ce", "fixed_eval_ece", "fixed_eval_step"),
        *("fixed_eval_timestamp", "fixed_eval_domains"),
    }
)
_SAMPLES_KEPT = 2_000
_OF_FILE = ("batch_step", "batch_total_steps", "batch_number", "eta_current_file_s")


class RunState:
    """Merges what the trainer tells. Times are epoch seconds, never later than now.

    A metrics log, where there is one, tells steps and losses more finely than the status file:
    from its first point in a segment it alone counts for them.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.segments = Segments()
        self._begin()

    def _begin(self) -> None:
        self.known = KnownValues()
        self.write: StatusWrite | None = None
        self.status: RunStatus | None = None
        self.updated_at: float | None = None
        self.speed_is_computed = False
        self._has_points = False
        self._status_step: int | None = None  # that the newest write told which tells one
        self._behind: int | None = None  # that step, where it was lower than those of the log
        self._has_crashed = False
        self._process_began_at: float | None = None
        self.samples: deque[ToldSample] = deque(maxlen=_SAMPLES_KEPT)
        self.session.restart()

    @property
    def phase(self) -> Phase | None:
        """Of the newest write alone: a phase that is no longer told is over."""
        return None if self.write is None else self.write.phase

    def take_status(self, write: StatusWrite, at: float) -> None:
        """Merge a new write of the status file, before the log lines that came with it."""
        if self._is_other_run(write) and self.segments.clash(at) is None:
            self._begin()
        before = self.write
        if self.segments.wrote(write.writer, at) and self.segments.clash(at) is None:
            self._has_points = False
            self._begin_process()
        elif self._has_crashed and write.status == "training" and not write.writer.is_known:
            self._begin_process()
        if before is None or before.writer != write.writer:
            self._process_began_at = write.writer.started_at
        if self._goes_on_without_log(write):
            self._has_points = False
            self._begin_process()
        self.write, self.updated_at = write, at
        self.status = write.status or self.status
        self._has_crashed = write.status == "crashed" or (
            self._has_crashed and write.status != "training"
        )
        values = dict(write.values)
        values.pop("throughput_samples", None)
        file_before = self.known.get("current_file")
        if values.get("current_file", file_before) != file_before:
            self.known.forget(_OF_FILE)
        if self._has_points and values.get("current_step", -1) < self.known.get("current_step"):
            for name in ("current_step", "tokens_per_sec", *_PER_STEP):
                values.pop(name, None)
        repeats = before is not None and write.writer.repeats and before.writer == write.writer
        told = before.values if before is not None and repeats else {}
        self.known.forget(write.unset & told.keys() if write.writer.repeats else write.unset)
        news = {name for name in values if name not in told or told[name] != values[name]}
        if "val_loss" in news:
            news |= values.keys() & {"val_train_gap"}  # the same figure again is of this loss
        if news & _OF_EVAL:
            self.known.forget(_OF_EVAL - values.keys())
        for name in news:
            self.known.put(name, values[name], at)

    def _goes_on_without_log(self, write: StatusWrite) -> bool:
        """Whether a trainer that tells no name of its own has begun, and writes no log of metrics.

        A status may lag behind the log of its trainer; but its steps do not go back, nor do they
        go on below those of a log in which nothing is written any more.
        """
        step, before = write.values.get("current_step"), self._status_step
        if step is None or (write.status in ENDS and not write.writer.repeats):
            return False
        self._status_step = step
        if write.writer.is_known:
            return False
        if not self._has_points or step >= (self.known.get("current_step") or 0):
            self._behind = None
            return False
        behind, self._behind = self._behind, step
        return (before is not None and step < before) or (behind is not None and step > behind)

    def take_status_steps(self, write: StatusWrite, at: float) -> bool:
        """Count a write's step, loss and speed where no log does, after the log lines.

        True when a new segment begins.
        """
        step, begins = write.values.get("current_step"), False
        if not self._has_points and write.status not in ENDS and step is not None:
            begins = self._saw_step(step, at)
            if (loss := write.values.get("loss")) is not None:
                self.session.losses.add(step, loss)
            if (speed := write.values.get("tokens_per_sec")) is not None:
                self.session.add_speed("status", step, speed)
        self._take_told_samples(write, at)
        val_loss = self.known.get("val_loss")
        is_told = val_loss is not None and self.known.seen_at("val_loss") == at
        if is_told and not self.session.has_val_loss(val_loss):
            self.session.add_val_loss(val_loss)
        return begins

    def _take_told_samples(self, write: StatusWrite, at: float) -> None:
        """Take in those of the samples that no earlier write had; each write repeats the newest."""
        told: Sequence[ToldSample] = write.values.get("throughput_samples", ())
        last = self.samples[-1] if self.samples else None
        known = max((place + 1 for place, each in enumerate(told) if each == last), default=0)
        for sample in told[known:]:
            self.samples.append(sample)
            self.session.add_speed("samples", sample.step or 0, sample.tokens_per_sec)
        is_told_better = "tokens_per_sec" in write.values or self.session.has_logged_speed
        if told[known:] and not is_told_better:
            self._put_speed(told[-1].tokens_per_sec, at, is_computed=False)

    def _begin_process(self) -> None:
        """Another process goes on with the run: what the one before told of itself is over."""
        self.known.forget(_OF_PROCESS)
        self.session.restart()

    def take_point(self, point: MetricPoint, at: float) -> bool:
        """Merge one line of the metrics log; True when a new segment begins."""
        self._behind = None
        if not self._has_points:
            self.session.restart()
            self._has_points = True
        begins = self._saw_step(point.step, at)
        self.known.put("current_step", point.step, at)
        for name in _PER_STEP:
            value = getattr(point, name)
            if value is not None:
                self.known.put(name, value, at)
        if point.loss is not None:
            self.session.losses.add(point.step, point.loss)
        if point.val_loss is not None:
            self.session.add_val_loss(point.val_loss)
        speed, is_computed = point.tokens_per_sec, False
        if speed is None and point.tokens and point.step_time_ms:
            speed, is_computed = 1000.0 * point.tokens / point.step_time_ms, True
        if speed is not None and math.isfinite(speed):
            self.session.add_speed("metrics", point.step, speed)
            self._put_speed(speed, at, is_computed)
        return begins

    def take_sample(self, sample: ThroughputSample, at: float) -> None:
        """Merge one line of the throughput log."""
        if math.isfinite(sample.tokens_per_sec):
            self.session.add_speed("throughput", sample.step, sample.tokens_per_sec)
            self._put_speed(sample.tokens_per_sec, at, is_computed=False)

    def forget_steps(self) -> None:
        """The metrics log was replaced by another: its steps are no continuation."""
        self.segments = Segments()
        self.session.restart()
        self._has_points = False

    def etas(self) -> dict[str, float | None]:
        """Seconds to the end of the file and of the run: the trainer's word, else worked out."""
        told: dict[str, Any] = {} if self.write is None else dict(self.write.values)
        return {
            "eta_current_file_s": self.session.eta_s(self.known, "batch_step", "batch_total_steps"),
            "eta_overall_s": self.session.eta_s(self.known, "current_step", "total_steps"),
            "eta_queued_s": None,
        } | {name: told[name] for name in ETAS if name in told}

    def divergence(self) -> str | None:
        """What is wrong with the newest loss, for a person; None when it is a number."""
        loss, step = self.known.get("loss"), self.known.get("current_step")
        if loss is None or math.isfinite(loss):
            return None
        at_step = "" if step is None else f" at step {step}"
        return (
            f"the loss is {loss}{at_step}, the run has diverged: resume from an earlier "
            "checkpoint with a lower learning rate or with gradient clipping."
        )

    @property
    def has_points(self) -> bool:
        """Whether the metrics log tells the steps of this segment."""
        return self._has_points

    def _is_other_run(self, write: StatusWrite) -> bool:
        before = None if self.write is None else self.write.writer.run_id
        return before is not None and write.writer.run_id not in (None, before)

    def _saw_step(self, step: int, at: float) -> bool:
        before = self.segments.count
        begins = self.segments.saw(step, at)
        if begins:
            self.session.restart()
        if self.segments.count > before:
            since = at if self._process_began_at is None else min(at, self._process_began_at)
            self.known.forget_before(_OF_PROCESS, since)
        self.session.pace.saw(step, at)
        return begins

    def _put_speed(self, tokens_per_sec: float, at: float, is_computed: bool) -> None:
        self.known.put("tokens_per_sec", tokens_per_sec, at)
        self.speed_is_computed = is_computed
