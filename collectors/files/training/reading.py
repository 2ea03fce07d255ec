"""What one look at a run tells: the contract between the training collector and its readers.

The status file is replaced as a whole, and each kind of update fills only part of it. The reading
keeps the last known value of each field, and ``seen_at`` tells when it was last written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

from collectors.files.training.reported import (
    Alert,
    ToldEval,
    ToldHeatmap,
    ToldSample,
    ToldSnapshot,
)
from control_room.recording.closed_words import Phase, RunStatus
from control_room.recording.metrics import PLAIN

LossTrend = Literal["improving", "stable", "rising", "unknown"]
ThroughputTrend = Literal["normal", "degraded", "excellent"]
EvalTrend = Literal["improving", "stable", "declining", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Liveness:
    """Is the trainer still writing? Silence alone never means "crashed"."""

    state: Literal["live", "stalled", "ended", "unknown"]
    silent_s: float | None  # since the newest sign of life; None when there never was one
    patience_s: float | None  # how much silence this phase is allowed
    reason: str | None = None  # for a person, when stalled or when the process is gone


if TYPE_CHECKING:

    class _PlainMetrics: ...

else:
    _PlainMetrics = make_dataclass(
        "_PlainMetrics",
        [(metric.name, float | None, None) for metric in PLAIN],
        frozen=True,
        slots=True,
        kw_only=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReading(_PlainMetrics):
    """One look at a run. Every value may be None: not known is never 0.

    Metrics that no code names (:data:`control_room.recording.metrics.PLAIN`) are fields as well.
    """

    run_id: str
    status: RunStatus | None
    liveness: Liveness
    phase: Phase | None = None
    model_name: str | None = None
    checkpoint_id: str | None = None
    current_step: int | None = None
    total_steps: int | None = None
    epoch: float | None = None
    loss: float | None = None
    streaming_ce: float | None = None  # exponential moving average of the loss
    loss_trend: LossTrend | None = None
    loss_variance: float | None = None
    # These three belong together: the gap is what lies between the other two.
    val_loss: float | None = None
    train_loss: float | None = None  # smoothed, when val_loss was told; without one, now
    val_train_gap: float | None = None
    # As the status tells them; the eval log and the retention index tell more.
    fixed_eval_em: float | None = None
    fixed_eval_ce: float | None = None
    fixed_eval_ece: float | None = None
    fixed_eval_step: int | None = None
    fixed_eval_trend: EvalTrend | None = None
    fixed_eval_timestamp: float | None = None  # epoch seconds
    fixed_eval_domains: Mapping[str, ToldEval] = field(default_factory=dict)
    fixed_eval_history: tuple[ToldEval, ...] = ()  # oldest first
    micro_eval_loss: float | None = None
    micro_eval_step: int | None = None
    recent_snapshots: tuple[ToldSnapshot, ...] = ()
    latest_snapshot_date: date | None = None
    tokens_per_sec: float | None = None
    tokens_per_sec_avg: float | None = None
    tokens_per_sec_baseline: float | None = None
    throughput_trend: ThroughputTrend | None = None
    # Those of the status, gathered over its writes, the newest last; a throughput log tells more.
    throughput_samples: tuple[ToldSample, ...] = ()
    batch_step: int | None = None
    batch_total_steps: int | None = None
    batch_number: int | None = None
    batch_queue_size: int | None = None
    current_file: str | None = None
    dataset_id: str | None = None
    eta_current_file_s: float | None = None
    eta_overall_s: float | None = None  # of all steps
    eta_queued_s: float | None = None  # of the file in work and all that wait, where told
    jobs_pending: Mapping[str, int] = field(default_factory=dict)  # by kind of job
    last_preview_latency_ms: float | None = None
    pattern_heatmap: ToldHeatmap | None = None
    active_alerts: tuple[Alert, ...] = ()  # of the trainer itself
    pause_reason: str | None = None  # while it is paused
    error_message: str | None = None
    error_type: str | None = None
    updated_at: float | None = None  # epoch seconds of the newest status write
    seen_at: Mapping[str, float] = field(default_factory=dict)  # field -> epoch s, last written
    derived: frozenset[str] = frozenset()  # fields computed here because the trainer wrote none
    recent_losses: tuple[tuple[int, float], ...] = ()  # (step, loss) of this segment, oldest first
    segment_start_step: int | None = None  # where this session began (a resume starts a new one)
    segment_count: int = 1
    problems: tuple[str, ...] = ()  # each names a file, what is wrong and what to do
    # The newest whole status file as its writer left it (NaN as null), for old clients; None when
    # none has been read yet.
    status_json: bytes | None = None

    def age_s(self, name: str, now: float) -> float | None:
        """Seconds since the trainer last wrote this field; None when it never did."""
        seen = self.seen_at.get(name)
        return None if seen is None else max(0.0, now - seen)
