"""Asks the preview runner of a run for a round now."""

from __future__ import annotations

import json
import time

from control_room.rundir import RunDir


def request_round(run: RunDir) -> None:
    """Leave the request that the runner takes away; one that waits already is enough.

    Raises ``OSError`` where the run directory cannot be written.
    """
    told = json.dumps({"requested_at": time.time()})
    run.inside.replace(run.round_request_file, told.encode())
