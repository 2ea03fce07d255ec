"""One spelling of a text for searching, whatever its case."""

from __future__ import annotations

from typing import Any

from control_room.extra import load_extra


def fold_column(texts: Any) -> Any:
    """An Arrow column of texts, folded."""
    return load_extra("pyarrow.compute").utf8_lower(texts)


def fold(text: str) -> str:
    """One text, folded just as a column is."""
    folded: str = fold_column(load_extra("pyarrow").scalar(text)).as_py()
    return folded
