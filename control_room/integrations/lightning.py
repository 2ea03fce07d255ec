"""Records a run of Lightning.

    trainer = Trainer(logger=ControlRoomLogger("runs/my-run"), callbacks=[ControlRoomProgress()])

The logger takes what the module logs; the callback adds progress, total steps, checkpoints, and the
text of the exception that ends a run. Only the main process records.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from control_room.extra import MissingExtra
from control_room.integrations._paced_status import PacedStatus
from control_room.recording.metric_names import known_metrics
from control_room.recording.recorder import Recorder

try:
    from lightning.pytorch.callbacks import Callback
    from lightning.pytorch.loggers.logger import Logger, rank_zero_experiment
    from lightning.pytorch.utilities import rank_zero_only
except ModuleNotFoundError as error:
    raise MissingExtra(
        f"{error.name} is missing: this logger is for `pip install lightning`"
    ) from None


class ControlRoomLogger(Logger):
    """Metrics that Control Room knows, as metric points; hyperparameters, in the status.

    ``loss`` (``train_loss``), ``lr``, ``grad_norm``, ``epoch``, ``val_loss`` and
    ``tokens_per_sec`` are taken; others are left out.
    """

    def __init__(self, run_dir: str | Path, *, run_id: str | None = None) -> None:
        super().__init__()
        self._run_dir = Path(run_dir)
        self._run_id = run_id
        self._recorder: Recorder | None = None
        self._status: PacedStatus | None = None
        self._ended = False

    @property
    def name(self) -> str:
        """The run's name."""
        return self._run_id or self._run_dir.name

    @property
    def version(self) -> str:
        """A run directory is one run: there are no versions of it."""
        return ""

    @property
    @rank_zero_experiment
    def experiment(self) -> Recorder:
        """The recorder, for whatever else there is to log: previews, evaluations."""
        if self._recorder is None:
            self._recorder = Recorder(self._run_dir, run_id=self._run_id)
            self._status = PacedStatus(self._recorder)
        return self._recorder

    @rank_zero_only
    def show(self, **fields: Any) -> None:
        """Fields of the status, soon."""
        if self.experiment is not None and self._status is not None:
            self._status.show(**fields)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """What the module was made with."""
        told = vars(params) if isinstance(params, Namespace) else params
        if isinstance(told, Mapping):
            self.experiment.log_config(told)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """One step's metrics."""
        known = known_metrics(metrics)
        if step is None or not set(known) - {"epoch"}:
            return
        self.experiment.log_metrics(step=step, **known)
        shown = {name: known[name] for name in ("loss", "learning_rate", "epoch") if name in known}
        self.show(current_step=step, **shown)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """How it ended: "success", or "failed" where no callback has said more."""
        if self._recorder is None:
            return
        if self._status is not None:
            self._status.write()
        if not self._ended:
            if status == "success":
                self._recorder.mark_completed()
            else:
                self._recorder.mark_crashed(f"Lightning ended the run as {status}")
        self._recorder.close()

    def end_is_told(self) -> None:
        """Said by the callback, which knows more: :meth:`finalize` is only to close the files."""
        self._ended = True


class ControlRoomProgress(Callback):
    """Progress, checkpoints and crashes of a trainer that has a ``ControlRoomLogger``."""

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        total = trainer.estimated_stepping_batches
        for logger in _loggers(trainer):
            logger.experiment.update_status(
                status="training",
                phase="training",
                current_step=trainer.global_step,
                total_steps=int(total) if total != float("inf") else None,
                model_name=type(pl_module).__name__,
            )

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any) -> None:
        for logger in _loggers(trainer):
            logger.show(current_step=trainer.global_step)

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: Any) -> None:
        for logger in _loggers(trainer):
            logger.experiment.update_status(checkpoint_id=f"step-{trainer.global_step}")

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        for logger in _loggers(trainer):
            logger.show(current_step=trainer.global_step)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        for logger in _loggers(trainer):
            if isinstance(exception, KeyboardInterrupt):
                logger.experiment.mark_paused("interrupted")
            else:
                logger.experiment.mark_crashed(exception)
            logger.end_is_told()


def _loggers(trainer: Any) -> list[ControlRoomLogger]:
    if not trainer.is_global_zero:
        return []
    return [each for each in trainer.loggers if isinstance(each, ControlRoomLogger)]
