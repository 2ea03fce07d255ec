"""A run's training state: its status file, control state and logs, read again and again.

``watch`` puts the reading together; the other modules each do one part of it.
"""

from collectors.files.training.liveness import LivenessPolicy
from collectors.files.training.reading import (
    Liveness,
    LossTrend,
    ThroughputTrend,
    TrainingReading,
)
from collectors.files.training.watch import TrainingWatch
from control_room.recording.closed_words import Phase, RunStatus

__all__ = [
    "Liveness",
    "LivenessPolicy",
    "LossTrend",
    "Phase",
    "RunStatus",
    "ThroughputTrend",
    "TrainingReading",
    "TrainingWatch",
]
