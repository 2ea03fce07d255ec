"""The fields of records as the Recorder takes them, for editors and type checkers alone.

What a field takes is wider than what a record then holds: scalars of NumPy, PyTorch and the like
count as the numbers they stand for, and a text as the time it tells. `python -m app.generate`
writes them. Nothing loads this module when a program runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, Required, SupportsFloat, SupportsIndex, TypedDict

from control_room.recording.closed_words import Phase, RoundKind, RoundOutcome, RunStatus


class _Scalar(Protocol):
    """What NumPy and PyTorch make of a truth value."""

    def item(self) -> Any: ...


Flag = bool | _Scalar

# Written: fields of records


class PreviewFields(TypedDict, total=False):
    """Of a :class:`~control_room.PreviewRecord`."""

    ts: datetime | str | None
    step: Required[SupportsIndex]
    checkpoint_id: str | None
    example_id: str | None
    dataset_id: str | None
    regime: str | None
    source_pool: str | None
    prompt: Required[str]
    golden: Required[str]
    model_answer: Required[str]
    exact_match: Flag | None
    normalized_match: Flag | None
    failure_mode: str | None
    ce: SupportsFloat | None
    prompt_tokens: SupportsIndex | None
    golden_tokens: SupportsIndex | None
    model_tokens: SupportsIndex | None
    generation_time_ms: SupportsFloat | None
    contract_status: Mapping[str, Flag] | None
    run_id: str | None
    pattern: str | None
    sample_index: SupportsIndex | None
    temperature: SupportsFloat | None
    confidence: SupportsFloat | None
    token_log_probs: Iterable[SupportsFloat] | None
    top_p: SupportsFloat | None
    max_tokens: SupportsIndex | None
    seed: SupportsIndex | None
    finish_reason: str | None
    host: str | None
    round_id: str | None
    requested_checkpoint_id: str | None
    error: str | None
    example_loss: SupportsFloat | None


class ThroughputFields(TypedDict, total=False):
    """Of a :class:`~control_room.ThroughputSample`."""

    ts: datetime | str | None
    step: Required[SupportsIndex]
    tokens_per_sec: Required[SupportsFloat]
    vram_used_gb: SupportsFloat | None
    vram_pct: SupportsFloat | None
    batch_size: SupportsIndex | None
    sequence_length: SupportsIndex | None
    run_id: str | None


class MetricFields(TypedDict, total=False):
    """Of a :class:`~control_room.MetricPoint`."""

    ts: datetime | str | None
    step: Required[SupportsIndex]
    loss: SupportsFloat | None
    learning_rate: SupportsFloat | None
    grad_norm: SupportsFloat | None
    epoch: SupportsFloat | None
    val_loss: SupportsFloat | None
    tokens_per_sec: SupportsFloat | None
    tokens: SupportsIndex | None
    step_time_ms: SupportsFloat | None
    run_id: str | None
    current_file: str | None


class EvalFields(TypedDict, total=False):
    """Of a :class:`~control_room.EvalRecord`."""

    ts: datetime | str | None
    step: Required[SupportsIndex]
    kind: Required[str]
    domain: str | None
    checkpoint_id: str | None
    em: SupportsFloat | None
    ce: SupportsFloat | None
    ece: SupportsFloat | None
    loss: SupportsFloat | None
    count: SupportsIndex | None
    run_id: str | None


class RoundFields(TypedDict, total=False):
    """Of a :class:`~control_room.RoundRecord`."""

    ts: datetime | str | None
    step: Required[SupportsIndex]
    round_id: Required[str]
    kind: Required[RoundKind]
    checkpoint_id: Required[str]
    outcome: Required[RoundOutcome]
    reason: str | None
    examples: SupportsIndex | None
    answered: SupportsIndex | None
    errors: SupportsIndex | None
    correct: SupportsIndex | None
    time_s: SupportsFloat | None
    prompt_tokens: SupportsIndex | None
    model_tokens: SupportsIndex | None
    run_id: str | None


# End of fields of records


class HeadFields(TypedDict, total=False):
    """Of a :class:`~control_room.HeadRecord`; layers x heads, as rows, an array or a tensor."""

    step: Required[SupportsIndex]

    attention_entropy: Iterable[Iterable[SupportsFloat]] | None
    first_token_attention: Iterable[Iterable[SupportsFloat]] | None
    grad_norm: Iterable[Iterable[SupportsFloat]] | None
    weight_norm: Iterable[Iterable[SupportsFloat]] | None


class UpdateStatus(Protocol):
    """The fields of the status that the app knows (docs/DATA.md), and any others."""

    def __call__(
        self,
        *,
        status: RunStatus = ...,
        phase: Phase | None = ...,
        error_message: str | None = ...,
        error_type: str | None = ...,
        pause_reason: str | None = ...,
        current_step: SupportsIndex | None = ...,
        total_steps: SupportsIndex | None = ...,
        # Written: metrics of the status
        epoch: SupportsFloat | None = ...,
        loss: SupportsFloat | None = ...,
        streaming_ce: SupportsFloat | None = ...,
        loss_variance: SupportsFloat | None = ...,
        val_loss: SupportsFloat | None = ...,
        validation_loss: SupportsFloat | None = ...,
        val_train_gap: SupportsFloat | None = ...,
        learning_rate: SupportsFloat | None = ...,
        grad_norm: SupportsFloat | None = ...,
        tokens_per_sec: SupportsFloat | None = ...,
        tokens_per_sec_avg: SupportsFloat | None = ...,
        tokens_per_sec_baseline: SupportsFloat | None = ...,
        # End of metrics of the status
        loss_trend: Literal["improving", "stable", "rising"] | None = ...,
        throughput_trend: Literal["normal", "degraded", "excellent"] | None = ...,
        model_name: str | None = ...,
        checkpoint_id: str | None = ...,
        current_file: str | None = ...,
        dataset_id: str | None = ...,
        batch_step: SupportsIndex | None = ...,
        batch_total_steps: SupportsIndex | None = ...,
        batch_number: SupportsIndex | None = ...,
        batch_queue_size: SupportsIndex | None = ...,
        eta_current_file_s: SupportsFloat | str | None = ...,
        eta_current_file: SupportsFloat | str | None = ...,
        eta_overall_s: SupportsFloat | str | None = ...,
        eta_seconds: SupportsFloat | str | None = ...,
        eta_queued_s: SupportsFloat | str | None = ...,
        eta_overall: SupportsFloat | str | None = ...,
        fixed_eval_em: SupportsFloat | None = ...,
        fixed_eval_ce: SupportsFloat | None = ...,
        fixed_eval_ece: SupportsFloat | None = ...,
        fixed_eval_step: SupportsIndex | None = ...,
        config: Mapping[str, object] | None = ...,
        active_alerts: Sequence[str | Mapping[str, object]] | None = ...,
        **others: Any,
    ) -> None: ...
