"""Values of other libraries, as the recorder takes them."""

from __future__ import annotations

import math


def plain(value: object) -> object:
    """As the status file can hold it: what is no scalar becomes text."""
    return value if isinstance(value, str | int | float | bool | type(None)) else str(value)


def finite(value: object) -> bool:
    """Whether ``value`` is a number that is neither NaN nor infinite."""
    return isinstance(value, int | float) and math.isfinite(value)
