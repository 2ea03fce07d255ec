"""What the control state of the daemon trainer says: is the run paused, and why."""

from __future__ import annotations

from collections.abc import Mapping

from collectors.json_values import text


def says_paused(control: Mapping[str, object]) -> bool | None:
    """Whether the control state says that the run is paused; None when it says nothing.

    The daemon trainer writes ``{"status": "paused", "paused_at": ...}``; ``state`` in
    its place and a flag ``paused`` or ``is_paused`` are understood too.
    """
    for name in ("paused", "is_paused"):
        if isinstance(flag := control.get(name), bool):
            return flag
    for name in ("status", "state"):
        if isinstance(word := control.get(name), str):
            return word.strip().lower() == "paused"
    return None


def pause_reason_of(control: Mapping[str, object]) -> str | None:
    """Why the control state says that the run is paused; None when it says nothing."""
    reason = control.get("reason")
    return text(reason) or None if isinstance(reason, str) else None
