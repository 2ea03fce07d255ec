"""Records a run of Accelerate.

    accelerator = Accelerator(log_with=ControlRoomTracker("runs/my-run"))
    accelerator.init_trackers("my-run", config={"lr": 1e-4})
    accelerator.log({"loss": loss, "learning_rate": lr}, step=step)
    accelerator.end_training()

Only the main process records.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from control_room.extra import MissingExtra
from control_room.integrations._paced_status import PacedStatus
from control_room.recording.metric_names import known_metrics
from control_room.recording.recorder import Recorder

try:
    from accelerate.tracking import GeneralTracker, on_main_process
except ModuleNotFoundError as error:
    raise MissingExtra(
        f"{error.name} is missing: this tracker is for `pip install accelerate`"
    ) from None


class ControlRoomTracker(GeneralTracker):
    """Metrics that Control Room knows, as metric points; the configuration, in the status.

    ``loss``, ``learning_rate`` (``lr``), ``grad_norm``, ``epoch``, ``val_loss`` (``eval_loss``)
    and ``tokens_per_sec`` are taken; others are left out. ``total_steps`` gives the run its end.
    """

    name = "control_room"
    requires_logging_directory = False

    def __init__(
        self, run_dir: str | Path, *, run_id: str | None = None, total_steps: int | None = None
    ) -> None:
        super().__init__()
        self._total_steps = total_steps
        self._recorder = Recorder(run_dir, run_id=run_id)
        self._status = PacedStatus(self._recorder)

    @property
    def tracker(self) -> Recorder:
        """The recorder, for whatever else there is to log; the main process alone has one."""
        return self._recorder

    def start(self) -> None:
        """Called by Accelerate; the files are opened with the first record."""

    @on_main_process
    def store_init_configuration(self, values: Mapping[str, Any]) -> None:
        """What the run was started with."""
        self._recorder.update_status(status="training", total_steps=self._total_steps)
        self._recorder.log_config(values)

    @on_main_process
    def log(self, values: Mapping[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """One step's metrics. Without a step there is nowhere to put them."""
        known: dict[str, Any] = known_metrics(values)
        if step is None or not known:
            return
        self._recorder.log_metrics(step=step, **known)
        shown = {name: known[name] for name in ("loss", "learning_rate", "epoch") if name in known}
        self._status.show(current_step=step, **shown)

    @on_main_process
    def finish(self) -> None:
        """The run is over."""
        self._status.write()
        self._recorder.mark_completed()
        self._recorder.close()
