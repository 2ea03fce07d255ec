"""A run with something to see on every page of the analysis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from control_room import Recorder


def record_run(path: Path, *, seed: int = 0, steps: int = 6, learns: bool = True) -> None:
    """Eight examples at ``steps`` checkpoints; with ``learns`` one more is right at each."""
    with Recorder(path) as recorder:
        recorder.log_config({"seed": seed, "lr": 0.1, "model": "tiny"})
        for number in range(1, steps + 1):
            step = 100 * number
            for at in range(step - 99, step + 1):
                recorder.log_metrics(step=at, loss=2 / number, current_file=f"f{number}.jsonl")
            recorder.log_metrics(step=step, val_loss=1.5 + number / 10)
            recorder.log_eval(step=step, kind="fixed", em=number / 10, ce=1.0, ece=0.1, count=50)
            recorder.log_eval(step=step, kind="fixed", domain="sums", em=0.5, count=20)
            for example in range(8):
                right = example < number if learns else example == 0
                fields: dict[str, Any] = {
                    "step": step,
                    "checkpoint_id": f"checkpoint-{step}",
                    "example_id": f"e{example}",
                    "prompt": f"What is {example} + 1?",
                    "golden": str(example + 1),
                    "regime": "plain_sft",
                    "dataset_id": "sums",
                    "pattern": "even" if example % 2 == 0 else "odd",
                }
                recorder.log_preview(
                    **fields,
                    model_answer=str(example + 1) if right else "nothing",
                    exact_match=right,
                    failure_mode=None if right else "wrong_content",
                    source_pool="fixed_eval",
                    confidence=0.9 if right else 0.3,
                )
                for sample in range(3):
                    recorder.log_preview(
                        **fields,
                        model_answer=str(sample),
                        exact_match=sample == 0,
                        source_pool="samples",
                        round_id=f"samples:checkpoint-{step}",
                        sample_index=sample,
                    )
            recorder.log_heads(
                step=step,
                attention_entropy=[[2.0, 1.9], [1.8, 0.01]],
                grad_norm=[[0.5, 0.4], [0.5, 0.6]],
            )
        recorder.note("lowered lr", step=250)
        recorder.update_status(current_step=100 * steps, total_steps=1000, loss=2 / steps)
