"""HTTP whose answers are bounded: one deadline for all of it, so many bytes, nothing unpacked.

Redirects are not followed, so what goes along with a request reaches no other server.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

_MAX_HEAD_BYTES = 128 * 2**10  # of status, headers and what goes before them
_KEPT_S = 5.0  # servers close what is idle for longer


class TooLong(Exception):
    """More was sent than an answer may have."""


class Packed(Exception):
    """The body is compressed, which was not asked for: it may unpack to anything."""


@dataclass(slots=True)
class _Allowance:
    """What the answer that is waited for may still take."""

    until: float = 0.0  # of time.monotonic
    left_bytes: int = 0

    def wait_s(self, timeout_s: float | None) -> float:
        left_s = self.until - time.monotonic()
        if left_s <= 0:
            raise httpcore.ReadTimeout("late")
        return left_s if timeout_s is None else min(timeout_s, left_s)

    def take(self, size: int) -> None:
        self.left_bytes -= size
        if self.left_bytes < 0:
            raise TooLong


class BoundedHttp:
    """Asks servers from one thread, over kept connections. ``timeout_s`` is of a whole answer."""

    def __init__(self, timeout_s: float, max_bytes: int) -> None:
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._allowance = _Allowance()
        self._pool: httpcore.ConnectionPool | None = None

    def close(self) -> None:
        """Hang up. The next request connects again."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def get(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body.

        Raises :class:`TooLong`, :class:`Packed`, ``httpcore.TimeoutException`` and httpcore's
        other errors; whatever was kept is closed by then.
        """
        allowance = self._allowance
        allowance.until = time.monotonic() + self._timeout_s
        allowance.left_bytes = self._max_bytes + _MAX_HEAD_BYTES
        if self._pool is None:
            self._pool = httpcore.ConnectionPool(
                ssl_context=httpx.create_ssl_context(trust_env=False),
                max_connections=1,
                keepalive_expiry=_KEPT_S,
                network_backend=_Backend(allowance),
            )
        told: list[tuple[bytes | str, bytes | str]] = [("Accept-Encoding", "identity")]
        told += headers.items()
        try:
            with self._pool.stream(
                "GET", url, headers=told, extensions={"timeout": {"pool": self._timeout_s}}
            ) as answer:
                if any(_is_packing(name, value) for name, value in answer.headers):
                    raise Packed
                body = bytearray()
                for chunk in answer.iter_stream():
                    body += chunk
                    if len(body) > self._max_bytes:
                        raise TooLong
                return answer.status, bytes(body)
        except BaseException:
            self.close()
            raise


def _is_packing(name: bytes, value: bytes) -> bool:
    return name.lower() == b"content-encoding" and value.strip().lower() not in (b"", b"identity")


class _Backend(httpcore.NetworkBackend):
    """Connects as usual, to streams that keep to the allowance."""

    def __init__(self, allowance: _Allowance) -> None:
        self._allowance = allowance
        self._usual = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._usual.connect_tcp(
            host, port, self._allowance.wait_s(timeout), local_address, socket_options
        )
        return _Stream(stream, self._allowance)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, allowance: _Allowance) -> None:
        self._stream = stream
        self._allowance = allowance

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._stream.read(max_bytes, self._allowance.wait_s(timeout))
        self._allowance.take(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._allowance.wait_s(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        wait_s = self._allowance.wait_s(timeout)
        stream = self._stream.start_tls(ssl_context, server_hostname, wait_s)
        return _Stream(stream, self._allowance)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
