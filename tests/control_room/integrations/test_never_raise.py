"""What the integrations do with values that no log can hold, without the libraries themselves.

tests/integrations has the real ones; here a class of a name stands for what is only inherited from.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from control_room import RunDir
from control_room.recording.metric_names import known_metrics
from tests.support import ROOT

STAND_INS = {
    "transformers/__init__.py": "class TrainerCallback: pass",
    "torch.py": "",
    "accelerate/__init__.py": "",
    "accelerate/tracking.py": """
class GeneralTracker:
    def __init__(self): pass
def on_main_process(method): return method
""",
    "lightning/__init__.py": "",
    "lightning/pytorch/__init__.py": "",
    "lightning/pytorch/callbacks.py": "class Callback: pass",
    "lightning/pytorch/loggers/__init__.py": "",
    "lightning/pytorch/loggers/logger.py": """
class Logger: pass
def rank_zero_experiment(method): return method
""",
    "lightning/pytorch/utilities.py": "def rank_zero_only(method): return method",
}

HUGGING_FACE = """
from types import SimpleNamespace
from control_room.integrations.huggingface import ControlRoomCallback
callback = ControlRoomCallback(sys.argv[1])
class Odd:
    def __float__(self): raise LookupError
args = SimpleNamespace(world_size=1, per_device_train_batch_size="two", learning_rate=Odd())
state = SimpleNamespace(
    is_world_process_zero=True, global_step=0, max_steps=Odd(), num_input_tokens_seen=0, epoch=-1.0
)
callback.on_train_begin(args, state, None)
callback.on_step_end(args, state, None)
state.num_input_tokens_seen = 100
callback.on_log(args, state, None, logs={"loss": 0.5, "epoch": -1.0, "lr": Odd(), 5: 1.0})
state.global_step = 1
callback.on_log(args, state, None, logs={"loss": 0.25})
callback.on_evaluate(args, state, None, metrics={"eval_loss": 0.5, "eval_x_loss": 10**400})
callback.on_train_end(args, state, None)
"""

ACCELERATE = """
from control_room.integrations.accelerate import ControlRoomTracker
tracker = ControlRoomTracker(sys.argv[1], total_steps=object())
tracker.store_init_configuration({"lr": 1e-4, "data": object()})
tracker.log({"loss": 0.5}, step=0.5)
tracker.log({5: 0.5, "loss": 10**400, "lr": 0.1}, step=0)
tracker.log({"loss": 0.25}, step=1)
tracker.finish()
"""

LIGHTNING = """
from control_room.integrations.lightning import ControlRoomLogger
logger = ControlRoomLogger(sys.argv[1])
logger.log_hyperparams({"lr": 1e-4, "data": object()})
logger.log_metrics({"loss": 0.5, "epoch": -1.0}, step=0)
logger.log_metrics({"loss": 0.25}, step=1)
logger.show(model_name=object())
logger.finalize("success")
"""

HEADS = """
from types import SimpleNamespace
from control_room.integrations.heads import HeadsCallback
callback = HeadsCallback(sys.argv[1], texts=["a"])
callback._recorder.log_heads(step=1, grad_norm=[[None]])
callback._recorder.log_heads(step=1, grad_norm=[[1.0]])
"""


@pytest.mark.parametrize(
    ("code", "kind"),
    [(HUGGING_FACE, "metrics"), (ACCELERATE, "metrics"), (LIGHTNING, "metrics"), (HEADS, "heads")],
    ids=["huggingface", "accelerate", "lightning", "heads"],
)
def test_a_value_that_no_log_can_hold_is_refused_and_training_goes_on(
    tmp_path: Path, code: str, kind: Any
) -> None:
    for name, text in STAND_INS.items():
        path = tmp_path / "libraries" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    run = RunDir(tmp_path / "run")
    paths = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(tmp_path / 'libraries')!r}]\n"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", paths + code, run.path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (log,) = run.logs(kind).iterdir()
    assert json.loads(log.read_bytes().splitlines()[-1])["step"] == 1
    (refused,) = run.logs("refused").iterdir()
    assert refused.read_bytes().count(b"\n") >= 1
    if kind == "metrics":
        assert json.loads(run.status_file.read_bytes())["status"] == "completed"


def test_metrics_that_are_no_numbers_or_have_no_name_are_left_out() -> None:
    class Odd:
        def __float__(self) -> float:
            raise LookupError

    values: dict[Any, object] = {5: 1.0, None: 1.0, "loss": 10**400, "lr": Odd(), "epoch": math.nan}
    assert repr(known_metrics(values)) == "{'epoch': nan}"
