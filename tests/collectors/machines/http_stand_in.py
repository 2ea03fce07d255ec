"""A real HTTP server on loopback whose answers a test decides, slow and broken ones included."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What one path answers. ``needs`` is the key without which it is a 401."""

    body: bytes = b""
    status: int = 200
    delay_s: float = 0.0
    needs: str | None = None
    drip_s: float = 0.0  # between two bytes


def answer_json(value: Any, **how: Any) -> Answer:
    """An answer in JSON."""
    return Answer(json.dumps(value).encode(), **how)


class HttpServer:
    """Serves ``answers`` by path, the query included, from construction until :meth:`stop`."""

    def __init__(self, answers: dict[str, Answer], port: int = 0) -> None:
        self.answers = answers
        self.asked: Counter[str] = Counter()
        self.stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; kept connections end."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(of: HttpServer) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            of.asked[self.path] += 1
            answer = of.answers.get(self.path, Answer(b"not here", 404))
            keys = (self.headers["X-API-Key"], self.headers["Authorization"])
            if answer.needs and keys != (answer.needs, f"Bearer {answer.needs}"):
                answer = Answer(b"no", 401)
            of.stopping.wait(answer.delay_s)
            if of.stopping.is_set():
                self.close_connection = True
                return
            with suppress(OSError):  # who asked may have hung up by now
                self._send(answer)

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            pieces = [answer.body] if not answer.drip_s else [bytes([byte]) for byte in answer.body]
            for piece in pieces:
                self.wfile.write(piece)
                of.stopping.wait(answer.drip_s)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
