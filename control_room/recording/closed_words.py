"""Fields whose values are a closed set of words. Those of the other fields anybody may add to."""

from __future__ import annotations

from typing import Literal

RunStatus = Literal["idle", "training", "paused", "completed", "crashed"]
Phase = Literal["training", "saving", "evaluating", "previewing"]

# A round of previews: what it is for, and how it ended. "skipped": a newer checkpoint came;
# "budget": of tokens.
RoundKind = Literal["preview", "eval", "samples", "request"]
RoundOutcome = Literal["completed", "skipped", "deadline", "budget", "failed"]
