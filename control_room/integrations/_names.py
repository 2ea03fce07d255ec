"""What other libraries call the metrics that Control Room knows."""

from __future__ import annotations

import math
from collections.abc import Mapping

_NAMES = {
    "loss": "loss",
    "train_loss": "loss",
    "train/loss": "loss",
    "learning_rate": "learning_rate",
    "lr": "learning_rate",
    "train/learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "train/grad_norm": "grad_norm",
    "epoch": "epoch",
    "eval_loss": "val_loss",
    "val_loss": "val_loss",
    "validation_loss": "val_loss",
    "eval/loss": "val_loss",
    "tokens_per_sec": "tokens_per_sec",
}


def known_metrics(values: Mapping[str, object]) -> dict[str, float]:
    """Those of ``values`` that a metric point has, under its names; what is no number is left out.

    NaN and infinity stay: they are news.
    """
    found: dict[str, float] = {}
    for name, value in values.items():
        field = _NAMES.get(name)
        if field is None or field in found or isinstance(value, bool | str | bytes):
            continue
        try:
            found[field] = float(value)  # type: ignore[arg-type]  # tensors and NumPy's, too
        except (TypeError, ValueError, RuntimeError):
            continue
    return found


def plain(value: object) -> object:
    """As the status file can hold it: what is no scalar becomes text."""
    return value if isinstance(value, str | int | float | bool | type(None)) else str(value)


def finite(value: object) -> bool:
    """Whether ``value`` is a number that is neither NaN nor infinite."""
    return isinstance(value, int | float) and math.isfinite(value)
