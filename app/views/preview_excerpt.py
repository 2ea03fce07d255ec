"""The newest preview as the status views carry it: small, whatever was logged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from app.views.models import LatestPreview, Preview
from control_room.logs.schema import LONG_TEXTS

# The whole answer stays within 20 KB; half of them may be the texts of the preview.
TEXT_BYTES = 3_000  # of JSON, for each of the three texts
OTHER_BYTES = 200  # for each other text
MAX_CHECKS = 20
GROUPS_BYTES = 2_500  # of JSON, for the groups of one kind
NAME_BYTES = 120  # for the name of one
OTHER_GROUPS = "(all others)"


def latest_preview(whole: Preview, ahead_s: float | None = None) -> LatestPreview:
    """``whole`` with long texts cut: ``cut`` has their full lengths, ``whole`` where they are."""
    values: dict[str, Any] = {name: getattr(whole, name) for name in type(whole).model_fields}
    cut: dict[str, int] = {}
    for name, value in values.items():
        if isinstance(value, str):
            values[name] = fitting(value, TEXT_BYTES if name in LONG_TEXTS else OTHER_BYTES)
            if len(values[name]) < len(value):
                cut[name] = len(value)
        elif isinstance(value, Mapping):
            values[name] = {
                fitting(check, OTHER_BYTES // 2): kept
                for check, kept in islice(value.items(), MAX_CHECKS)
            }
            if len(values[name]) < len(value):
                cut[name] = len(value)
    return LatestPreview(
        **values,
        timestamp=whole.ts,
        cut=cut,
        whole=_address(whole) if cut else None,
        ahead_s=ahead_s,
    )


def shown_groups(sizes: Mapping[str, int], bytes_each: int) -> dict[str, str]:
    """What each group is called where there is little room, by its name.

    Long names are cut; the largest groups keep theirs (``sizes`` are their counts), and where
    ``bytes_each`` beside the name leave no room, the others are one group together.
    """
    shown: dict[str, str] = {}
    left = GROUPS_BYTES
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        cut = fitting(name, NAME_BYTES)
        cut = cut if cut == name else f"{cut}…"
        left -= 0 if cut in shown.values() else _bytes(cut) + bytes_each
        shown[name] = cut if left >= 0 else OTHER_GROUPS
    return shown


def fitting(text: str, most_bytes: int) -> str:
    """The longest beginning of ``text`` that takes no more than ``most_bytes`` as JSON."""
    low, high = 0, min(len(text), most_bytes)
    if _bytes(text[:high]) <= most_bytes:
        return text[:high]
    while low < high:
        middle = (low + high + 1) // 2
        if _bytes(text[:middle]) <= most_bytes:
            low = middle
        else:
            high = middle - 1
    return text[:low]


def _bytes(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")) - 2


def _address(preview: Preview) -> str:
    """Where the history has it: by its time and step, and its example where that is short."""
    asked: dict[str, object] = {
        "since": preview.ts.isoformat(),
        "until": preview.ts.isoformat(),
        "min_step": preview.step,
        "max_step": preview.step,
    }
    for name in ("example_id", "checkpoint_id"):
        value = getattr(preview, name)
        if value and _bytes(value) <= OTHER_BYTES:
            asked[name] = value
    return f"/api/preview/history?{urlencode({**asked, 'limit': 1})}"
