"""Asks the preview runner of a run for a round now."""

from __future__ import annotations

import json
import os
import time

from control_room.rundir import RunDir


def request_round(run: RunDir) -> None:
    """Leave the request that the runner takes away; one that waits already is enough.

    Raises ``OSError`` where the run directory cannot be written.
    """
    file = run.round_request_file
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    unfinished.write_text(json.dumps({"requested_at": time.time()}), encoding="utf-8")
    unfinished.replace(file)
