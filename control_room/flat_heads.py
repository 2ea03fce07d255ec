"""Arrays of layers x heads, laid out as a log line has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat_heads(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """``layers``, ``heads``, and every array flat, layer by layer; None stays out.

    Raises ``ValueError`` naming the array that has no rows of one length, or another shape.
    """
    found: dict[str, Any] = {}
    shape: tuple[int, int] | None = None
    for name, array in arrays.items():
        if array is None:
            continue
        rows = getattr(array, "tolist", lambda array=array: array)()
        try:
            flat = [value for row in rows for value in row]
            lengths = {len(row) for row in rows}
        except TypeError:
            raise ValueError(f"{name}: expected layers x heads, got {array!r:.60}") from None
        if len(lengths) != 1 or not flat:
            raise ValueError(f"{name}: expected rows (layers) of one length (heads)")
        own = (len(rows), len(rows[0]))
        if shape is not None and own != shape:
            raise ValueError(f"{name}: is {own[0]} x {own[1]}, the others {shape[0]} x {shape[1]}")
        shape, found[name] = own, flat
    if shape is None:
        raise ValueError("log_heads: give at least one array")
    return {"layers": shape[0], "heads": shape[1], **found}
