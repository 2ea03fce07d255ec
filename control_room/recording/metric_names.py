"""What other libraries call the metrics that Control Room knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NAMES = {
    **dict.fromkeys(("loss", "train_loss", "train/loss", "loss/train", "training_loss"), "loss"),
    **dict.fromkeys(("learning_rate", "lr", "train/learning_rate", "train/lr"), "learning_rate"),
    **dict.fromkeys(("grad_norm", "train/grad_norm"), "grad_norm"),
    **dict.fromkeys(("epoch", "train/epoch", "trainer/epoch"), "epoch"),
    **dict.fromkeys(("eval_loss", "eval/loss", "loss/eval"), "val_loss"),
    **dict.fromkeys(("val_loss", "val/loss", "loss/val"), "val_loss"),
    **dict.fromkeys(("validation_loss", "validation/loss", "loss/validation"), "val_loss"),
    **dict.fromkeys(("tokens_per_sec", "train/tokens_per_sec"), "tokens_per_sec"),
}


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
