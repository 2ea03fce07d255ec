"""What a type checker says of calls of a Recorder: mypy reads this file, nobody runs it.

A comment that ignores an error is an error itself where there is none to ignore.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np

from control_room import EvalRecord, MetricPoint, Recorder


def accepted(recorder: Recorder) -> None:
    """What a trainer has at hand."""
    recorder.log_metrics(step=1, loss=0.5, learning_rate=2e-4, tokens=512)
    recorder.log_metrics(step=np.int64(1), loss=np.float32(0.5), ts=datetime.now().astimezone())
    recorder.log_metrics(MetricPoint(step=1))
    recorder.log_eval(step=1, kind="a name of your own", em=1, ts="2026-11-25T10:00:00Z")
    recorder.log_throughput(step=1, tokens_per_sec=100, vram_used_gb=np.float64(1.5))
    recorder.log_preview(
        step=1,
        prompt="p",
        golden="g",
        model_answer="a",
        exact_match=np.bool_(True),
        token_log_probs=np.zeros(3),
        contract_status={"stop_emoji": True},
        failure_mode="near_miss",
        checkpoint_id=None,
    )
    recorder.log_heads(step=1, grad_norm=[[0.1, 0.2]], weight_norm=np.ones((2, 2)))
    recorder.note("lowered lr", step=np.int64(1))
    recorder.update_status(current_step=1, loss=np.float32(0.5), phase=None, eta_overall="2h")
    recorder.update_status(my_own="field")


def refused(recorder: Recorder) -> None:
    """A field that is none, one of another type, one that is missing, a word that is none."""
    recorder.log_metrics(step=1, los=0.5)  # type: ignore[call-overload]  # unknown
    recorder.log_metrics(step=1, loss="low")  # type: ignore[call-overload]  # a text
    recorder.log_metrics(step=1.5)  # type: ignore[call-overload]  # no whole number
    recorder.log_metrics(loss=0.5)  # type: ignore[call-overload]  # no step
    recorder.log_metrics(EvalRecord(step=1, kind="k"))  # type: ignore[call-overload]  # of another
    recorder.log_eval(step=1, em=0.5)  # type: ignore[call-overload]  # no kind
    recorder.log_throughput(step=1)  # type: ignore[call-overload]  # no speed
    recorder.log_round(  # type: ignore[call-overload]  # no such outcome
        step=1, round_id="r", kind="eval", checkpoint_id="c", outcome="fine"
    )
    recorder.log_heads(grad_norm=[[0.1]])  # type: ignore[call-arg]  # no step
    recorder.log_heads(step=1, gradnorm=[[0.1]])  # type: ignore[call-arg]  # unknown
    recorder.log_heads(step=1, grad_norm=[0.1])  # type: ignore[list-item]  # no layers
    recorder.note(7)  # type: ignore[arg-type]  # no text
    recorder.update_status(status="running")  # type: ignore[arg-type]  # no such state
    recorder.update_status(current_step="1")  # type: ignore[arg-type]  # a text
