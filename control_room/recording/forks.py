"""What a forked process has to forget of its parent."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable


def call_in_forked_children(method: Callable[[], None]) -> None:
    """Call a bound method in every forked child, as long as its object lives.

    It runs before anything else in the child, so no lock of the parent's is needed.
    """
    reference = weakref.WeakMethod(method)

    def in_child() -> None:
        alive = reference()
        if alive is not None:
            alive()

    os.register_at_fork(after_in_child=in_child)
