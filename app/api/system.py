"""The last day of a machine."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel, create_model

from app.api.history import Whole
from app.api.wire import packed_json
from app.views.models import Measured
from app.watch.machine_history import OF_GPUS, VALUES, WHOLE_MACHINE, MachineMinute
from app.watch.monitor import Monitor

if TYPE_CHECKING:
    _OfGpus = BaseModel
else:
    _OfGpus = create_model("_OfGpus", **dict.fromkeys(OF_GPUS, (Measured | None, ...)))


class MachineMinuteView(_OfGpus):
    """Means of one minute: of the machine (`device` null), or of one of its GPUs (a UUID)."""

    timestamp: datetime  # when the minute began
    device: str | None
    name: str
    online: Measured  # share of the minute, 0-1
    temp_max_c: Measured | None
    util_pct: Measured | None
    temp_c: Measured | None
    vram_pct: Measured | None
    vram_used_gb: Measured | None
    power_w: Measured | None
    cpu_pct: Measured | None
    ram_pct: Measured | None
    disk_pct: Measured | None


class MachineHistoryView(BaseModel):
    """The minutes of a machine, oldest first; up to a day is kept."""

    machine: str
    minutes: list[MachineMinuteView]
    count: int


def routes(router: APIRouter, monitor: Monitor) -> None:
    """Add ``/api/system/history``."""

    @router.get(
        "/api/system/history",
        response_class=Response,
        responses={
            200: {"model": MachineHistoryView},
            404: {"description": "No machine has that name."},
        },
        tags=["status"],
    )
    def machine_history(
        request: Request,
        machine: Annotated[
            str | None, Query(description="Its name; without one, the first machine.")
        ] = None,
        hours: Annotated[int, Query(ge=1, le=24), Whole] = 24,
    ) -> Response:
        """Temperature, use, memory and power of a machine, minute by minute."""
        names = [each.name for each in monitor.settings.watched_machines]
        name = names[0] if machine is None else machine
        if name not in names:
            raise HTTPException(404, f"There is no machine {name!r}; there are {names}.")
        kept = monitor.machine_history.minutes(name, since=time.time() - 3600 * hours)
        minutes = [_view(minute) for minute in kept]
        view = MachineHistoryView(machine=name, minutes=minutes, count=len(minutes))
        return packed_json(request, view.model_dump_json().encode())


def _view(minute: MachineMinute) -> MachineMinuteView:
    return MachineMinuteView(
        timestamp=datetime.fromtimestamp(minute.minute, UTC),
        device=None if minute.device == WHOLE_MACHINE else minute.device,
        **{name: getattr(minute, name) for name in ("name", "online", "temp_max_c", *VALUES)},
    )
