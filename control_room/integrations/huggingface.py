"""Records a run of Hugging Face's ``Trainer``, and of trainers built on it (TRL's ``SFTTrainer``).

    trainer = Trainer(..., callbacks=[ControlRoomCallback("runs/my-run")])

Only the main process of a distributed run records. Nothing here raises into training.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from control_room.extra import MissingExtra
from control_room.integrations._paced_status import PacedStatus
from control_room.judging.contracts import contracts_from
from control_room.judging.scoring import score
from control_room.recording.metric_names import known_metrics
from control_room.recording.recorder import Recorder

try:
    from transformers import TrainerCallback
except ModuleNotFoundError as error:
    raise MissingExtra(
        f"{error.name} is missing: this callback is for `pip install transformers`"
    ) from None

log = logging.getLogger(__name__)


class ControlRoomCallback(TrainerCallback):
    """Progress, loss, learning rate, gradient norm, throughput, evaluations and checkpoints.

    With ``examples`` (``prompt`` and ``golden``; ``example_id``, ``dataset_id``, ``regime`` and
    ``pattern`` if known) the model in hand answers them every ``preview_every_steps`` steps and at
    the end: greedily, at most ``max_new_tokens`` long, one at a time. That takes training's time,
    so it should be few; the preview runner asks a second machine instead. Previews need the whole
    model in this process: in a distributed run there are none.

    ``contracts`` say what regimes of your own ask of an answer's form, as in previews.toml:
    ``{"bullets": [{"check": "prefix_repeat", "name": "bullet", "symbols": ["*"], "min_repeats": 1,
    "max_repeats": 1}]}``.

    Throughput needs ``include_num_input_tokens_seen=True`` in the training arguments.
    """

    def __init__(
        self,
        run_dir: str | Path,
        *,
        run_id: str | None = None,
        examples: Sequence[Mapping[str, str]] = (),
        preview_every_steps: int = 500,
        max_new_tokens: int = 128,
        contracts: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    ) -> None:
        if preview_every_steps < 1:
            raise ValueError(f"preview_every_steps: expected 1 or more, got {preview_every_steps}")
        for example in examples:
            if "prompt" not in example or "golden" not in example:
                raise ValueError("examples: each needs prompt and golden")
        self._run_dir = Path(run_dir)
        self._run_id = run_id
        self._examples = tuple(examples)
        self._every = preview_every_steps
        self._max_new_tokens = max_new_tokens
        self._contracts = contracts_from(contracts or {})
        self._recorder: Recorder | None = None
        self._status: PacedStatus | None = None
        self._tokens_before: tuple[float, int] | None = None  # when, and how many by then

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not state.is_world_process_zero:
            return
        self._recorder = Recorder(self._run_dir, run_id=self._run_id)
        self._status = PacedStatus(self._recorder)
        self._recorder.log_config(_told_settings(args, kwargs.get("model")))
        self._status.write(
            status="training",
            phase="training",
            current_step=state.global_step,
            total_steps=state.max_steps,
            model_name=_model_name(kwargs.get("model")),
        )
        self._tokens_before = (time.monotonic(), state.num_input_tokens_seen)
        if self._examples and args.world_size > 1:
            log.warning("no previews: the model is spread over %d processes", args.world_size)
            self._examples = ()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._recorder is None or self._status is None:
            return
        self._status.show(current_step=state.global_step, epoch=state.epoch)
        if state.global_step % self._every == 0:
            self._preview(state, **kwargs)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if self._recorder is None or self._status is None or not isinstance(logs, Mapping):
            return
        values: dict[str, Any] = known_metrics(logs)
        if "loss" in values and "loss" not in logs:
            del values["loss"]  # train_loss, at the end, is the mean of the whole run
        values.pop("val_loss", None)  # it comes with the evaluation
        tokens_per_sec = self._throughput(state)
        if tokens_per_sec is not None:
            values["tokens_per_sec"] = tokens_per_sec
            self._recorder.log_throughput(
                step=state.global_step,
                tokens_per_sec=tokens_per_sec,
                batch_size=args.per_device_train_batch_size,
            )
        if set(values) - {"epoch"}:
            self._recorder.log_metrics(step=state.global_step, **values)
            shown = {name: values[name] for name in ("loss", "learning_rate") if name in values}
            self._status.show(current_step=state.global_step, **shown)

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any
    ) -> None:
        if self._recorder is None or not isinstance(metrics, Mapping):
            return
        for name, value in metrics.items():
            if not name.startswith("eval_") or not name.endswith("loss") or not _finite(value):
                continue
            # Of several evaluation sets each has its name in between: eval_math_loss.
            domain = name.removeprefix("eval_").removesuffix("loss").strip("_") or None
            self._recorder.log_eval(
                step=state.global_step, kind="micro", domain=domain, loss=float(value)
            )
            if domain is None:
                self._recorder.log_metrics(step=state.global_step, val_loss=float(value))
                self._recorder.update_status(validation_loss=float(value))

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._recorder is not None:
            self._recorder.update_status(checkpoint_id=f"checkpoint-{state.global_step}")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._recorder is None or self._status is None:
            return
        if state.global_step % self._every:
            self._preview(state, **kwargs)
        self._status.write(current_step=state.global_step, epoch=state.epoch)
        self._recorder.mark_completed()
        self._recorder.close()
        self._recorder = self._status = None

    def _throughput(self, state: Any) -> float | None:
        """Tokens per second since the last log; None where the trainer does not count them."""
        before, now = self._tokens_before, (time.monotonic(), state.num_input_tokens_seen)
        self._tokens_before = now
        if before is None or now[1] <= before[1] or now[0] <= before[0]:
            return None
        return float((now[1] - before[1]) / (now[0] - before[0]))

    def _preview(self, state: Any, **kwargs: Any) -> None:
        recorder, model = self._recorder, kwargs.get("model")
        tokenizer = kwargs.get("processing_class") or kwargs.get("tokenizer")
        if recorder is None or not self._examples or model is None or tokenizer is None:
            return
        was_training = model.training
        recorder.update_status(phase="previewing")
        try:
            model.eval()
            for example in self._examples:
                recorder.log_preview(
                    step=state.global_step,
                    **self._answer(model, tokenizer, example),
                )
        except Exception:
            # Whatever a model cannot do here is no reason to end its training.
            log.exception("previews are given up for this run")
            self._examples = ()
        finally:
            model.train(was_training)
            recorder.update_status(phase="training")

    def _answer(self, model: Any, tokenizer: Any, example: Mapping[str, str]) -> dict[str, Any]:
        import torch

        text = _asked(tokenizer, example["prompt"])
        began = time.monotonic()
        with torch.no_grad():
            asked = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
            asked = asked.to(model.device)
            told = model.generate(
                **asked,
                max_new_tokens=self._max_new_tokens,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
            )
            ids = told[0][asked["input_ids"].shape[1] :]
            took_ms = 1000 * (time.monotonic() - began)
            golden = tokenizer(example["golden"], add_special_tokens=False, return_tensors="pt")
            ce = _golden_ce(model, asked["input_ids"], golden["input_ids"].to(model.device))
        answer = tokenizer.decode(ids, skip_special_tokens=True)
        found = score(
            example["golden"],
            answer,
            example.get("regime"),
            hit_token_limit=len(ids) >= self._max_new_tokens,
            contracts=self._contracts,
        )
        known = ("example_id", "dataset_id", "regime", "pattern")
        return {
            **{name: example[name] for name in known if name in example},
            "source_pool": example.get("source_pool", "fixed_eval"),
            "prompt": example["prompt"],
            "golden": example["golden"],
            "model_answer": answer,
            **found.fields(),
            "ce": ce,
            "prompt_tokens": int(asked["input_ids"].shape[1]),
            "golden_tokens": int(golden["input_ids"].shape[1]),
            "model_tokens": len(ids),
            "generation_time_ms": round(took_ms, 1),
            "temperature": 0.0,
        }


def _asked(tokenizer: Any, prompt: str) -> str:
    if getattr(tokenizer, "chat_template", None):
        messages = [{"role": "user", "content": prompt}]
        return str(
            tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        )
    return prompt


def _golden_ce(model: Any, prompt_ids: Any, golden_ids: Any) -> float | None:
    """Mean negative log-probability (nats) of the golden answer's tokens after the prompt."""
    import torch

    if golden_ids.shape[1] == 0:
        return None
    logits = model(torch.cat([prompt_ids, golden_ids], dim=1)).logits[0].float()
    first = prompt_ids.shape[1] - 1
    told = logits[first : first + golden_ids.shape[1]]
    return float(torch.nn.functional.cross_entropy(told, golden_ids[0]))


# Of the training arguments: what people vary from run to run.
_SETTINGS = (
    *("learning_rate", "lr_scheduler_type", "warmup_ratio", "warmup_steps", "weight_decay"),
    *("per_device_train_batch_size", "gradient_accumulation_steps", "num_train_epochs"),
    *("max_steps", "max_grad_norm", "optim", "bf16", "fp16", "seed"),
)


def _told_settings(args: Any, model: Any) -> dict[str, object]:
    told = {name: getattr(args, name) for name in _SETTINGS if hasattr(args, name)}
    # Enumerations stand for their values.
    told = {name: getattr(value, "value", value) for name, value in told.items()}
    return {"model": _model_name(model), **told}


def _finite(value: object) -> bool:
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:
        return False  # an integer that no float can hold


def _model_name(model: Any) -> str | None:
    config = getattr(model, "config", None)
    name = getattr(config, "_name_or_path", None) or type(model).__name__
    return None if model is None else str(name)
