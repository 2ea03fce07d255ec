"""What the compare page compares with what, as its address says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

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
