"""What can be compared with what: the choices on the compare page, kept in its address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from control_room.history.filters import PreviewFilter
from control_room.history.queries import Cursor
from control_room.history.questions.comparison import of_side, sides

SideKind = Literal["checkpoint", "regime", "dataset", "run"]
KINDS: tuple[SideKind, ...] = ("checkpoint", "regime", "dataset", "run")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which kind of side is compared, and which two; None: not chosen."""

    kind: SideKind
    a: str | None
    b: str | None


def asked_of(query: Mapping[str, str]) -> Asked:
    """What an address asks for; garbage asks for checkpoints."""
    kind: SideKind = next((kind for kind in KINDS if kind == query.get("by")), "checkpoint")
    return Asked(kind, query.get("a") or None, query.get("b") or None)


def options(kind: SideKind, cursor: Cursor, runs: Mapping[str, object]) -> list[str]:
    """The sides there are: checkpoints in the order of their steps, others by name."""
    return list(runs) if kind == "run" else sides(cursor, kind)


def filter_of(kind: SideKind, name: str) -> PreviewFilter:
    """The previews of one side; a run's are all of its own."""
    return PreviewFilter() if kind == "run" else of_side(kind, name)
