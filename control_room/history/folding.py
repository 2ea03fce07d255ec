"""One spelling of a text for searching, whatever its case."""

from __future__ import annotations

from typing import Any

from control_room.history.extra import extra


def fold_column(texts: Any) -> Any:
    """An Arrow column of texts, folded."""
    return extra("pyarrow.compute").utf8_lower(texts)


def fold(text: str) -> str:
    """One text, folded just as a column is."""
    folded: str = fold_column(extra("pyarrow").scalar(text)).as_py()
    return folded
