"""What the Hugging Face callback adds to the step of a tiny model.

Runs with and without it take turns in one process; a step's time is the median over a run's steps.
Needs what ``make test-integrations`` installs.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench.rows import Row, at_most

_ROOT = Path(__file__).resolve().parent.parent
_PYTHON = _ROOT / ".venv-integrations" / "bin" / "python"
_STEPS = 300
_PAIRS = 7


def measure() -> list[Row]:
    """Nothing where the libraries are missing."""
    if not _PYTHON.exists():
        return []
    told = subprocess.run(
        [_PYTHON, "-m", "bench.trainer"],
        cwd=_ROOT,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    plain_ms, recorded_ms, callback_us, heads_ms = json.loads(told.stdout.splitlines()[-1])
    return [
        Row("a step of a tiny Llama", plain_ms, "ms"),
        Row("the same, recorded", recorded_ms, "ms"),
        at_most("in the callback, of a step", 100 * callback_us / 1e3 / plain_ms, "%", 0.5),
        Row("collecting the attention heads once", heads_ms, "ms"),
        Row("the same every 500 steps, of a step", 100 * heads_ms / 500 / plain_ms, "%"),
    ]


def main() -> None:
    """Print medians: a step without and with the callback, the time in it, and a look at heads."""
    from control_room.integrations.huggingface import ControlRoomCallback

    class Timed(ControlRoomCallback):
        """Counts the time spent in it."""

        spent_s = 0.0

        def _timed(self, name: str, *args: Any, **kwargs: Any) -> None:
            began = time.perf_counter()
            getattr(ControlRoomCallback, name)(self, *args, **kwargs)
            Timed.spent_s += time.perf_counter() - began

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            self._timed("on_step_end", *args, **kwargs)

        def on_log(self, *args: Any, **kwargs: Any) -> None:
            self._timed("on_log", *args, **kwargs)

    plain, recorded, spent = [], [], []
    with tempfile.TemporaryDirectory() as name:
        for number in range(_PAIRS):
            plain.append(_step_ms([]))
            before = Timed.spent_s
            recorded.append(_step_ms([Timed(Path(name, str(number)))]))
            spent.append((Timed.spent_s - before) / _STEPS)
    print(json.dumps([median(plain), median(recorded), 1e6 * median(spent), _heads_ms()]))


def _heads_ms() -> float:
    """The median over a batch of eight short texts, gradients included."""
    from control_room.integrations.heads import collect_heads
    from examples.tiny import TEXTS, make_model, make_tokenizer

    tokenizer = make_tokenizer()
    model = make_model(len(tokenizer))
    batch = tokenizer(TEXTS[:8], return_tensors="pt", padding=True, return_token_type_ids=False)
    model(**batch, labels=batch["input_ids"]).loss.backward()
    times = []
    for _ in range(20):
        began = time.perf_counter()
        collect_heads(model, batch)
        times.append(1e3 * (time.perf_counter() - began))
    return median(times)


def _step_ms(callbacks: list[Any]) -> float:
    import transformers

    from examples.tiny import TEXTS, make_model, make_tokenizer

    class Clock(transformers.TrainerCallback):  # type: ignore[misc]  # not there where types are checked
        """The time between the ends of steps."""

        def __init__(self) -> None:
            self.times: list[float] = []

        def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
            self.times.append(time.perf_counter())

    transformers.set_seed(0)
    tokenizer = make_tokenizer()
    rows = [tokenizer(text)["input_ids"] for text in TEXTS]
    clock = Clock()
    with tempfile.TemporaryDirectory() as out:
        trainer = transformers.Trainer(
            model=make_model(len(tokenizer)),
            args=transformers.TrainingArguments(
                output_dir=out,
                max_steps=_STEPS,
                logging_steps=10,
                save_strategy="no",
                use_cpu=True,
                report_to=[],
                disable_tqdm=True,
            ),
            data_collator=transformers.DataCollatorForSeq2Seq(tokenizer),
            train_dataset=[{"input_ids": row, "labels": row} for row in rows],
            callbacks=[clock, *callbacks],
        )
        trainer.train()
    gaps = [after - before for before, after in zip(clock.times, clock.times[1:], strict=False)]
    return 1e3 * median(gaps)


if __name__ == "__main__":
    main()
