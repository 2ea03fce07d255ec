"""Arrays of layers x heads, laid out as a log line has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from control_room.recording.fields import BadField
from control_room.recording.safe_repr import shown


def flat_heads(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """``layers``, ``heads``, and every array flat, layer by layer; None stays out.

    Raises ``BadField`` naming the array that has no rows of one length, or another shape.
    """
    found: dict[str, Any] = {}
    shape: tuple[int, int] | None = None
    for name, array in arrays.items():
        if array is None:
            continue
        try:
            rows = getattr(array, "tolist", lambda array=array: array)()
            flat = [value for row in rows for value in row]
            lengths = [len(row) for row in rows]
        except Exception:  # noqa: BLE001  # whatever its own methods raise, it is no such array
            raise BadField(f"{name}: expected layers x heads, got {shown(array)}", name) from None
        if len(set(lengths)) != 1 or not flat:
            raise BadField(f"{name}: expected rows (layers) of one length (heads)", name)
        own = (len(lengths), lengths[0])
        if shape is not None and own != shape:
            raise BadField(
                f"{name}: is {own[0]} x {own[1]}, the others {shape[0]} x {shape[1]}", name
            )
        shape, found[name] = own, flat
    if shape is None:
        raise BadField("log_heads: give at least one array")
    return {"layers": shape[0], "heads": shape[1], **found}
