"""How many bytes each row of a table takes by what has no bounds: its texts, lists and maps."""

from __future__ import annotations

from typing import Any

from control_room.extra import load_extra

NUMBER_BYTES = 24  # of a list, at most, when it is written out


def row_sizes(rows: Any) -> Any:
    """Of each row of an Arrow table: bytes of its texts (UTF-8), lists and maps, as int64."""
    arrow, compute = load_extra("pyarrow"), load_extra("pyarrow.compute")
    total = arrow.array([0] * rows.num_rows, arrow.int64())
    for column in rows.columns:
        sizes = _sizes(arrow, compute, column)
        if sizes is not None:
            sizes = compute.fill_null(sizes.cast(arrow.int64()), 0)
            total = compute.add(total, sizes)
    return total


def _sizes(arrow: Any, compute: Any, column: Any) -> Any | None:
    """Of one column; None where its values are small."""
    if arrow.types.is_string(column.type):
        return compute.binary_length(column)
    if arrow.types.is_map(column.type):
        return arrow.chunked_array(
            [_map_sizes(arrow, compute, chunk) for chunk in column.chunks], arrow.int64()
        )
    if arrow.types.is_list(column.type):
        lengths = compute.list_value_length(column).cast(arrow.int64())
        return compute.multiply(lengths, NUMBER_BYTES)
    return None


def _map_sizes(arrow: Any, compute: Any, flags: Any) -> Any:
    """Of names that are true or false."""
    # A slice shares its names with the whole: the offsets tell which are its own.
    lengths = compute.add(compute.binary_length(flags.keys).cast(arrow.int64()), NUMBER_BYTES)
    before = arrow.concat_arrays([arrow.array([0], arrow.int64()), compute.cumulative_sum(lengths)])
    ends = before.take(flags.offsets)
    return compute.subtract(ends.slice(1), ends.slice(0, len(ends) - 1))
