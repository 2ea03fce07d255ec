"""What a trainer tells in its status as lists and objects. None: it does not tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date as day


@dataclass(frozen=True, slots=True)
class ToldSample:
    """Speed and memory at one moment."""

    tokens_per_sec: float
    step: int | None = None
    at: float | None = None  # epoch seconds
    vram_used_gb: float | None = None
    vram_pct: float | None = None
    batch_size: int | None = None
    sequence_length: int | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """What the trainer itself warns of. ``severity`` is its own word."""

    message: str
    severity: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class ToldEval:
    """How the fixed set, or a domain of it, went at a step."""

    em: float | None = None
    ce: float | None = None
    ece: float | None = None
    count: int | None = None
    step: int | None = None


@dataclass(frozen=True, slots=True)
class ToldSnapshot:
    """A snapshot that is kept. ``is_best``: the trainer calls it the best so far."""

    name: str
    date: day | None = None
    step: int | None = None
    em: float | None = None
    is_best: bool = False


@dataclass(frozen=True, slots=True)
class ToldHeatmap:
    """EM (0-1) by row and column; None where there is none."""

    rows: tuple[str, ...] = ()
    cols: tuple[str, ...] = ()
    data: tuple[tuple[float | None, ...], ...] = ()
