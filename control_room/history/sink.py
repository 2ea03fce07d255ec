"""A file that is only written to, and handed on piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class Sink:
    """Takes what a writer of pyarrow writes; what was taken out is not held any longer."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._size += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """What was written stays to be taken."""

    def taken(self) -> bytes:
        """What was written since the last time."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """:meth:`taken`, as it was written: each piece is let go of when the next is asked for."""
        pieces, self._pieces = self._pieces, []
        while pieces:
            yield pieces.pop(0)
