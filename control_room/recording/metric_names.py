"""What other libraries call the metrics that Control Room knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from control_room.recording.metrics import METRICS

_NAMES = {name: metric.name for metric in METRICS for name in metric.library_names}


def known_metrics(values: Mapping[Any, object]) -> dict[str, float]:
    """Those of ``values`` that a metric point has, under its names; what is no number is left out.

    NaN and infinity stay: they are news.
    """
    found: dict[str, float] = {}
    for name, value in values.items():
        field = _NAMES.get(name.lower()) if isinstance(name, str) else None
        if field is None or field in found or isinstance(value, bool | str | bytes):
            continue
        try:
            found[field] = float(value)  # type: ignore[arg-type]  # tensors and NumPy's, too
        except Exception:  # noqa: BLE001, S112  # whatever a tensor raises, it is no number
            continue
    return found
