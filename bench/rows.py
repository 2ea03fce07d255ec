"""One measured figure, and how figures are printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A figure with its unit; ``target`` is what it should be, ``ok`` whether it is."""

    name: str
    value: float
    unit: str
    target: str | None = None
    ok: bool | None = None


def at_most(name: str, value: float, unit: str, limit: float) -> Row:
    """A figure that must not be above the limit."""
    return Row(name, value, unit, f"≤ {limit:g} {unit}", value <= limit)


def at_least(name: str, value: float, unit: str, limit: float) -> Row:
    """A figure that must not be below the limit."""
    return Row(name, value, unit, f"≥ {limit:g} {unit}", value >= limit)


def as_table(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | measured | target | met |", "|---|---:|---:|---|"]
    for row in rows:
        met = {None: "", True: "yes", False: "no"}[row.ok]
        lines.append(f"| {row.name} | {row.value:,.4g} {row.unit} | {row.target or ''} | {met} |")
    return "\n".join(lines)
