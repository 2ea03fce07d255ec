"""The scorers by the names that settings and scripts use; they live in ``judging.scorers``."""

from control_room.judging.scorers import (
    BUILT_IN,
    Scorer,
    json_equal,
    last_line,
    multiple_choice,
    numeric,
    regex,
    score_with,
    scorer_of,
)

__all__ = [
    "BUILT_IN",
    "Scorer",
    "json_equal",
    "last_line",
    "multiple_choice",
    "numeric",
    "regex",
    "score_with",
    "scorer_of",
]
