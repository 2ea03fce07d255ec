"""A table from somebody's own question as a page can show it: no cell longer than it can draw."""

from __future__ import annotations

from typing import Any

from app.text.visible import cell

_TEXTS = ("string", "large_string", "binary", "large_binary")
_SMALL_BYTES = 2**16  # of a nested column, which the table shows as what it is


def short_cells(table: Any) -> Any:
    """An Arrow table with its texts, and what is nested, as texts of bounded length."""
    names = [cell(name) for name in table.column_names]
    columns = [_short(column) for column in table.columns]
    return table.from_arrays(columns, names=names)


def _short(column: Any) -> Any:
    kind = str(column.type)
    nested = any(word in kind for word in ("list", "struct", "map", "union"))
    if (nested and column.nbytes > _SMALL_BYTES) or kind in _TEXTS:
        import pyarrow

        told = [None if value is None else _told(value) for value in column.to_pylist()]
        return pyarrow.array(told, pyarrow.string())
    return column


def _told(value: object) -> str:
    return cell(value if isinstance(value, str) else repr(value))
