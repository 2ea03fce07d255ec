"""Chromium as an attacker's victim has it at worst: without its own checks of the local network."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from playwright.sync_api import Browser, Page

from tests.conftest import FLAGS, chromium_path

# What keeps pages of other places from asking local addresses, in the versions of some years.
CHECKS = (
    "LocalNetworkAccessChecks",
    "LocalNetworkAccessChecksWebSockets",
    "BlockInsecurePrivateNetworkRequests",
    "BlockInsecurePrivateNetworkRequestsFromPrivate",
    "PrivateNetworkAccessSendPreflights",
    "PrivateNetworkAccessRespectPreflightResults",
    "PrivateNetworkAccessForNavigations",
)


@contextmanager
def unprotected(browser: Browser, *names: str) -> Iterator[Browser]:
    """Another browser beside ``browser``: no check of local addresses, and ``names`` lead here."""
    rebound = ",".join(f"MAP {name} 127.0.0.1" for name in names)
    flags = [f"--disable-features={','.join(CHECKS)}", f"--host-resolver-rules={rebound}"]
    opened = browser.browser_type.launch(executable_path=chromium_path(), args=[*FLAGS, *flags])
    try:
        yield opened
    finally:
        opened.close()


def watched(page: Page) -> list[str]:
    """What the page's policy forbids it, and what it asks of other places, from now on."""
    against: list[str] = []

    def said(text: str) -> None:
        if re.search(r"Content Security Policy|Refused to|violates the following", text):
            against.append(text)

    def asked(url: str) -> None:
        if not re.match(r"(https?|wss?)://(127\.0\.0\.1|localhost):|data:|blob:", url):
            against.append(f"asked {url}")

    page.on("console", lambda message: said(message.text))
    page.on("pageerror", lambda error: said(str(error)))
    page.on("request", lambda request: asked(request.url))
    page.on("websocket", lambda socket: asked(socket.url))
    page.add_init_script(
        "document.addEventListener('securitypolicyviolation', event => console.error("
        "'Content Security Policy: ' + event.violatedDirective + ' ' + event.blockedURI))"
    )
    return against


@dataclass
class Other:
    """A server of somebody else."""

    port: int = 0
    asked: list[str] = field(default_factory=list)  # paths


@contextmanager
def another_server() -> Iterator[Other]:
    """A server of another program on this machine, which answers everything with a page."""
    other = Other()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            other.asked.append(self.path)
            body = b"<title>attack</title>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_OPTIONS = do_GET

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    other.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield other
    finally:
        server.shutdown()
        server.server_close()
