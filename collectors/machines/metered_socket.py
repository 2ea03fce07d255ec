"""A socket that hangs up on who sends more than is waited for.

An SSH library takes in what arrives: a greeting without end, a packet that says it has four
gigabytes, data beyond the window that was granted. Counted here, none of that gets far.
"""

from __future__ import annotations

import threading
from typing import Any

_CHUNK_BYTES = 2**16


class MeteredSocket:
    """Anything that reads and writes as a socket does, with an allowance of bytes to receive."""

    def __init__(self, sock: Any, allowed_bytes: int) -> None:
        self._sock = sock
        self._left = allowed_bytes
        self._lock = threading.Lock()
        self.exceeded = False

    def allow(self, size: int) -> None:
        """So many bytes from now on; what was left before is forfeited."""
        with self._lock:
            self._left = size

    def recv(self, size: int) -> bytes:
        """As a socket's; the end of the stream once too much has come."""
        if self.exceeded:
            return b""
        # What is asked for is reserved before anything comes, and who is asked says how much.
        data: bytes = self._sock.recv(min(size, _CHUNK_BYTES))
        with self._lock:
            self._left -= len(data)
            if self._left >= 0:
                return data
        self.exceeded = True
        self.close()
        return b""

    def close(self) -> None:
        """Close it."""
        self._sock.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)
