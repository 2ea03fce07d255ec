"""Requests as no library would send them: what stands in the lines is what goes out."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.support import PATIENCE_S


@dataclass(frozen=True)
class Answer:
    """What came back; ``status`` 0 when the connection was closed without an answer."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes
    closed: bool  # by the server, after the answer


def port_of(address: str) -> int:
    """The port in an address of the app."""
    port = urlsplit(address).port
    assert port is not None
    return port


def send(port: int, request: str, headers: Sequence[str], body: bytes = b"") -> Answer:
    """Send ``request`` (its first line), the header lines and the body; read the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        lines = [request, *headers, "", ""]
        # Refused before all of it was sent: the answer is there to be read.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall("\r\n".join(lines).encode("latin-1") + body)
        return read_answer(connection)


def read_answer(connection: socket.socket) -> Answer:
    """The answer of a server that closes, or whose answer has a length."""
    received = b""
    closed = False
    while not _whole(received):
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            piece = b""
        if not piece:
            closed = True
            break
        received += piece
    if not received:
        return Answer(0, {}, b"", closed)
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    closed = closed or headers.get("connection", "").lower() == "close"
    return Answer(int(first.split()[1]), headers, body, closed)


def _whole(received: bytes) -> bool:
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return False
    if head.startswith((b"HTTP/1.1 101", b"HTTP/1.1 304", b"HTTP/1.1 204")):
        return True
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.partition(b":")[2])
        if line.startswith(b"transfer-encoding:"):
            return body.endswith(b"0\r\n\r\n")
    return False


def get(port: int, path: str, *headers: str) -> Answer:
    """GET with exactly these headers."""
    return send(port, f"GET {path} HTTP/1.1", headers)


def open_websocket(port: int, *headers: str, path: str = "/_stcore/stream") -> Answer:
    """The answer to a handshake with these headers beside those that it needs: 101 when open."""
    key = base64.b64encode(os.urandom(16)).decode()
    needed = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Protocol: streamlit",
    ]
    return send(port, f"GET {path} HTTP/1.1", [*headers, *needed])
