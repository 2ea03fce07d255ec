"""The demo's training loop: works through the data queue, and records everything it does."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import cycle
from typing import Any

from control_room import Recorder
from control_room.recording.closed_words import Phase
from control_room.rundir import QueuePriority
from examples.batching import in_batches, token_budget
from examples.checkpoints import CheckpointStore
from examples.curriculum import Curriculum
from examples.data_queue import DataFile, DataQueue
from examples.examiner import Examiner, Graded, calibration_error, exact_match
from examples.heads import head_diagnostics
from examples.model import ModelConfig, init_params, loss_and_gradients
from examples.optimizer import PEAK_LEARNING_RATE, Adam, learning_rate_at
from examples.pace import Schedule, Speed, resident_gb
from examples.tasks import PATTERNS, Example, Pattern, draw, fixed_eval
from examples.tokens import Tokenizer

MODEL_NAME = "demo-transformer-90k"

_FILE_EXAMPLES = 1200
_DELIVERY: tuple[QueuePriority, ...] = ("high", "normal", "normal", "normal", "low")
_CHECKPOINT_STEPS = 500
_STATUS_S, _PREVIEW_S, _THROUGHPUT_S = 0.5, 3.0, 3.0
_PROBES_PER_PATTERN = 16
_VALIDATION_EXAMPLES = 48


class Trainer:
    """One session of training. ``stopping`` is asked between steps and between answers."""

    def __init__(
        self, recorder: Recorder, *, seed: int, total_steps: int, stopping: Callable[[], bool]
    ) -> None:
        self._recorder = recorder
        self._seed = seed
        self._total_steps = total_steps
        self._stopping = stopping
        self._tokenizer = Tokenizer()
        self._config = ModelConfig(vocab_size=len(self._tokenizer))
        self._params = init_params(self._config, seed)
        self._optimizer = Adam(self._params)
        self._examiner = Examiner(self._config, self._tokenizer, self._alive_and_stopping)
        self._queue = DataQueue(recorder.run_dir)
        self._checkpoints = CheckpointStore(recorder.run_dir)
        self._curriculum = Curriculum()
        self._step = self._files_made = self._files_done = 0
        self._checkpoint: str | None = None
        self._metrics: dict[str, float] = {}
        self._resume()
        # Which examples follow depends on where the session starts, not on those before it.
        self._rng = random.Random(f"{seed} {self._step}")
        self._fixed_eval = fixed_eval(seed)
        self._fixed_eval_turns = cycle(self._fixed_eval)
        self._failures: deque[Example] = deque(maxlen=40)
        self._preview_rounds = 0
        self._losses: deque[float] = deque(maxlen=30)
        self._speed = Speed()
        self._schedule = Schedule()

    @property
    def completed(self) -> bool:
        """All steps are done."""
        return self._step >= self._total_steps

    def run(self) -> None:
        """Train until all steps are done or told to stop; leaves a checkpoint either way."""
        self._recorder.log_config(
            {
                "model": MODEL_NAME,
                **asdict(self._config),
                "optimizer": "adam",
                "learning_rate": PEAK_LEARNING_RATE,
                "file_examples": _FILE_EXAMPLES,
                "seed": self._seed,
            }
        )
        self._recorder.update_status(
            model_name=MODEL_NAME,
            total_steps=self._total_steps,
            current_step=self._step,
            current_checkpoint_id=self._checkpoint,
            phase="training",
        )
        while not self.completed and not self._stopping():
            file = self._queue.take()
            if file is None:
                self._deliver()
            elif self._work_through(file):
                self._queue.finish(file)
                self._files_done += 1
        self._save()

    def _resume(self) -> None:
        found = self._checkpoints.load_newest(self._params, self._optimizer)
        if found is not None:
            self._checkpoint, self._step, progress = found
            self._curriculum = Curriculum(progress["levels"])
            self._files_made = progress["files_made"]
            self._files_done = progress["files_done"]
            self._metrics = progress["metrics"]

    def _deliver(self) -> None:
        """Fill the queue: a review of what is weakest, the course, and a rehearsal."""
        kinds: dict[QueuePriority, tuple[str, Callable[[random.Random, int], list[Example]]]] = {
            "high": ("review", self._curriculum.review),
            "normal": ("course", self._curriculum.course),
            "low": ("rehearsal", self._curriculum.rehearsal),
        }
        for priority in _DELIVERY:
            if self._stopping():
                return
            kind, make = kinds[priority]
            self._files_made += 1
            name = f"demo_{kind}_{self._files_made:05d}"
            self._queue.add(priority, name, make(self._rng, _FILE_EXAMPLES))
            self._tell_status()

    def _work_through(self, file: DataFile) -> bool:
        """Train on every example of the file once; False when interrupted."""
        batches = in_batches(
            file.examples, self._tokenizer, self._rng, budget=token_budget(self._step)
        )
        self._recorder.update_status(
            current_file=file.path.name,
            dataset_id=file.dataset_id,
            batch_step=0,
            batch_total_steps=len(batches),
            batch_number=self._files_done + 1,
            batch_queue_size=len(self._queue),
        )
        for number, examples in enumerate(batches, start=1):
            if self.completed or self._stopping():
                return False
            epoch = (self._files_done + number / len(batches)) / len(_DELIVERY)
            self._train_on(examples, epoch, file.path.name)
            self._tell_status(batch_step=number, epoch=round(epoch, 4))
            self._look_at_answers(file)
        return True

    def _train_on(self, examples: Sequence[Example], epoch: float, file_name: str) -> None:
        started = time.perf_counter()
        batch = self._examiner.batch(examples)
        self._step += 1
        learning_rate = learning_rate_at(self._step)
        loss, gradients = loss_and_gradients(self._params, self._config, batch)
        if self._is_checkpoint_step():
            heads = head_diagnostics(self._params, gradients, self._config, batch)
            self._recorder.log_heads(step=self._step, **heads)
        gradient_norm = self._optimizer.step(self._params, gradients, learning_rate)
        seconds = time.perf_counter() - started
        self._losses.append(loss)
        self._speed.add(batch.token_count, seconds)
        self._recorder.log_metrics(
            step=self._step,
            loss=loss,
            learning_rate=learning_rate,
            grad_norm=gradient_norm,
            epoch=epoch,
            tokens=batch.token_count,
            tokens_per_sec=batch.token_count / seconds,
            step_time_ms=seconds * 1000,
            current_file=file_name,
        )
        if self._schedule.is_due("throughput", _THROUGHPUT_S):
            self._recorder.log_throughput(
                step=self._step,
                tokens_per_sec=self._speed.read(),
                vram_used_gb=resident_gb(),
                batch_size=len(examples),
                sequence_length=batch.ids.shape[1],
            )

    def _look_at_answers(self, file: DataFile) -> None:
        if self._is_checkpoint_step():
            self._evaluate()
            self._save()
            self._preview(file, checkpoint=self._checkpoint)
        elif self._schedule.is_due("preview", _PREVIEW_S):
            self._preview(file)

    def _is_checkpoint_step(self) -> bool:
        return self._step == 100 or self._step % _CHECKPOINT_STEPS == 0

    def _preview(self, file: DataFile, checkpoint: str | None = None) -> None:
        """Two answers: one of the fixed set, one to a training example or an earlier failure."""
        self._preview_rounds += 1
        chosen = [("fixed_eval", next(self._fixed_eval_turns))]
        if self._preview_rounds % 3 == 0 and self._failures:
            chosen.append(("failures", self._failures.popleft()))
        else:
            chosen.append(("train", self._rng.choice(file.examples)))
        with self._phase("previewing"):
            graded = self._examiner.grade(self._params, [example for _, example in chosen])
            for (source_pool, example), each in zip(chosen, graded, strict=False):
                record = each.record(
                    step=self._step, source_pool=source_pool, checkpoint_id=checkpoint
                )
                self._recorder.log_preview(record)
                if each.score.failure_mode is not None:
                    self._failures.append(example)

    def _evaluate(self) -> None:
        """Judge the fixed set, each pattern at its level, and the loss on held-out examples."""
        with self._phase("evaluating"):
            fixed = self._examiner.grade(self._params, self._fixed_eval)
            probes = [
                draw(self._rng, pattern, self._curriculum.levels[pattern], "train")
                for pattern in PATTERNS
                for _ in range(_PROBES_PER_PATTERN)
            ]
            probed = self._examiner.grade(self._params, probes)
            held_out = self._curriculum.course(self._rng, _VALIDATION_EXAMPLES, "heldout")
            validation_loss = self._examiner.mean_ce(self._params, held_out)
        if validation_loss is None:  # told to stop: half an evaluation is none
            return
        training_loss = sum(self._losses) / len(self._losses)
        self._metrics = {
            "em": round(exact_match(fixed), 4),
            "ce": round(sum(each.golden_ce for each in fixed) / len(fixed), 4),
            "ece": round(calibration_error(fixed), 4),
            "val_loss": round(validation_loss, 4),
            "evaluated_at_step": self._step,
        }
        levels = dict(self._curriculum.levels)
        self._curriculum.judge({pattern: _exact_match_of(probed, pattern) for pattern in PATTERNS})
        self._note_new_levels(levels)
        self._recorder.log_metrics(step=self._step, val_loss=validation_loss)
        self._recorder.log_eval(
            step=self._step,
            kind="fixed",
            em=self._metrics["em"],
            ce=self._metrics["ce"],
            ece=self._metrics["ece"],
            count=len(fixed),
        )
        self._recorder.log_eval(
            step=self._step, kind="micro", loss=validation_loss, count=len(held_out)
        )
        for pattern in PATTERNS:
            own = [each for each in fixed if each.example.pattern == pattern]
            self._recorder.log_eval(
                step=self._step, kind="fixed", domain=pattern, em=exact_match(own), count=len(own)
            )
        self._recorder.update_status(
            fixed_eval_em=self._metrics["em"],
            fixed_eval_ce=self._metrics["ce"],
            fixed_eval_ece=self._metrics["ece"],
            fixed_eval_step=self._step,
            fixed_eval_by_pattern={
                pattern: round(_exact_match_of(fixed, pattern), 4) for pattern in PATTERNS
            },
            curriculum_levels=self._curriculum.levels,
            val_loss=validation_loss,
            val_train_gap=validation_loss - training_loss,
        )

    def _note_new_levels(self, before: Mapping[Pattern, int]) -> None:
        now = self._curriculum.levels
        raised = [f"{each} to {now[each]}" for each in PATTERNS if now[each] > before[each]]
        if raised:
            self._recorder.note(f"Level raised: {', '.join(raised)}", step=self._step)

    def _save(self) -> None:
        with self._phase("saving"):
            progress = {
                "levels": self._curriculum.levels,
                "files_made": self._files_made,
                "files_done": self._files_done,
                "metrics": self._metrics,
            }
            self._checkpoint = self._checkpoints.save(
                self._step, self._params, self._optimizer, progress, self._metrics
            )
        self._recorder.update_status(current_checkpoint_id=self._checkpoint)

    def _tell_status(self, **fields: Any) -> None:
        """Replace the status file now and then: twice a second is plenty to be read."""
        if self._schedule.is_due("status", _STATUS_S):
            if self._losses:
                fields["loss"] = self._losses[-1]
                fields["learning_rate"] = learning_rate_at(self._step)
                fields["tokens_per_sec"] = self._speed.newest
            self._recorder.update_status(current_step=self._step, **fields)

    def _alive_and_stopping(self) -> bool:
        """Between answers: a sign of life for the status file, and whether to leave off."""
        self._tell_status()
        return self._stopping()

    @contextmanager
    def _phase(self, phase: Phase) -> Iterator[None]:
        self._recorder.update_status(phase=phase, current_step=self._step)
        yield
        self._recorder.update_status(phase="training")


def _exact_match_of(graded: Sequence[Graded], pattern: Pattern) -> float:
    return exact_match([each for each in graded if each.example.pattern == pattern])
