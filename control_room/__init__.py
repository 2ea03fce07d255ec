"""Control Room's recording side: what a training script imports.

Importing this package pulls in the standard library only. ``control_room.history`` needs the
``history`` extra, ``control_room.previews`` the ``previews`` extra; they say so when it is missing.
"""

from control_room.recording.recorder import Recorder
from control_room.recording.records import (
    EvalRecord,
    HeadRecord,
    MetricPoint,
    NoteRecord,
    PreviewRecord,
    RoundRecord,
    ThroughputSample,
)
from control_room.rundir import RunDir

__version__ = "0.1.0"  # the only place: pyproject.toml takes it from here

__all__ = [
    "EvalRecord",
    "HeadRecord",
    "MetricPoint",
    "NoteRecord",
    "PreviewRecord",
    "Recorder",
    "RoundRecord",
    "RunDir",
    "ThroughputSample",
]
