"""The address that the daemon trainer's pages ask: the trainer's own status file."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Response

from app.api.wire import JSON
from app.watch.monitor import Monitor
from collectors.files.training import TrainingReading
from control_room.rundir import RunDir

ADDRESS = "/status/training_status.json"


def old_status_routes(router: APIRouter, monitor: Monitor) -> None:
    """Add the old address. ``router`` lets any query parameter pass: pages put the time there."""
    path = str(RunDir(monitor.settings.run_dir).status_file)

    @router.get(
        ADDRESS,
        response_class=Response,
        responses={200: {"content": {JSON: {}}}, 404: {"description": "No status, and why."}},
        tags=["operations"],
    )
    async def training_status() -> Response:
        """The status file as the trainer wrote it, for the daemon trainer's pages.

        The newest whole one, byte for byte, except that NaN and infinity, which no browser reads,
        are `null`. Query parameters are ignored.
        """
        reading: TrainingReading | None = monitor.sources["training"].reading
        if reading is None or reading.status_json is None:
            told = () if reading is None else reading.problems
            why = [problem for problem in told if problem.startswith(path)]
            raise HTTPException(404, " ".join(["No training status has been read yet.", *why]))
        return Response(reading.status_json, media_type=JSON, headers={"Cache-Control": "no-store"})
