"""The status file at a pace: replacing it costs far more than a line in a log."""

from __future__ import annotations

import time
from typing import Any

from control_room.recording.recorder import Recorder

_EVERY_S = 0.5


class PacedStatus:
    """Gathers fields, and writes them at most twice a second."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._waiting: dict[str, Any] = {}
        self._written_at = 0.0

    def show(self, **fields: Any) -> None:
        """Soon; with what else is shown until then."""
        self._waiting |= fields
        if time.monotonic() - self._written_at >= _EVERY_S:
            self.write()

    def write(self, **fields: Any) -> None:
        """Now, with all that waits."""
        waiting, self._waiting = self._waiting | fields, {}
        self._written_at = time.monotonic()
        self._recorder.update_status(**waiting)
