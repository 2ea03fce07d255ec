"""An HTTP server that gives back what it was sent: the worst place to send a secret to."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, Self

Manner = Literal["error", "model", "answer", "redirect"]


class EchoServer:
    """Tells in ``manner`` all that came with a request, and keeps it in :attr:`came`."""

    def __init__(self, manner: Manner, elsewhere: str = "") -> None:
        self.came: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, manner, elsewhere))
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self.place = f"127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(of: EchoServer, manner: Manner, elsewhere: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer()

        def _answer(self) -> None:
            told = f"{self.path} {' '.join(f'{k}: {v}' for k, v in self.headers.items())}"
            of.came.append(told)
            if manner == "redirect":
                self._send(302, b"", f"{elsewhere}{self.path}")
            elif manner == "error":
                self._send(500, f"I do not like {told}".encode())
            elif manner == "answer":
                choice = {"message": {"content": told}, "finish_reason": "stop", "text": told}
                self._send(200, json.dumps({"model": told, "choices": [choice]}).encode())
            elif self.path.startswith("/v1/models"):
                self._send(200, json.dumps({"data": [{"id": told}]}).encode())
            else:
                self._send(404, told.encode())

        def _send(self, status: int, body: bytes, location: str | None = None) -> None:
            self.send_response(status)
            if location is not None:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
