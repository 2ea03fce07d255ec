"""Bins of lengths in tokens: how they are found and called."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence


def bin_of(edges: Sequence[int], length: int | None) -> int | None:
    """Where the bin of a length begins; below the first edge it is the first. None: not known."""
    if length is None:
        return None
    return edges[max(0, bisect_right(edges, length) - 1)]


def bin_label(edges: Sequence[int], low: int | None) -> str:
    """``50-100``, ``200+``, or ``unknown``."""
    if low is None:
        return "unknown"
    place = list(edges).index(low)
    return f"{low}+" if place == len(edges) - 1 else f"{low}-{edges[place + 1]}"
