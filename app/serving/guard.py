"""Stands before everything that is served: who may ask, what may be sent, what a browser may do.

A pure ASGI class, for pages, static files, media, the API and the websocket alike. What is refused
is refused before Streamlit sees it: for an Origin that it does not know, Streamlit looks up its
own external address, which sends a request out and blocks the event loop.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.host_names import HostName, parse_address, same_place
from app.serving.hosts import Hosts

Scope = Mapping[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Any]
Send = Callable[[Message], Any]
App = Callable[[Any, Any, Any], Any]
Headers = list[tuple[bytes, bytes]]

log = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 64 * 1024  # of what an endpoint of the API may be sent
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_UPLOADS: Final = "/_stcore/upload_file"  # keeps in memory what it is sent; no page has an upload
_MINDED: Final = frozenset(
    {b"host", b"origin", b"content-length", b"transfer-encoding"}
    | {b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest"}
)
_ELSEWHERE: Final = frozenset({"cross-site", "same-site"})  # same-site: another port, too
_TOLD_EVERY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered; ``text`` is for the person who sent it."""

    status: int
    text: str


class Guard:
    """Refuses what does not come from the user, and puts the protecting headers on every answer."""

    def __init__(
        self,
        app: App,
        *,
        hosts: Hosts,
        policy: str,
        is_api: Callable[[str], bool],
        allowed_origins: Collection[str] = (),
        max_viewers: int,
    ) -> None:
        """``policy`` is for pages that bring none; ``allowed_origins`` may read the API's paths."""
        self._app = app
        self._hosts = hosts
        self._is_api = is_api
        self._allowed_origins = frozenset(allowed_origins)
        self._max_viewers = max_viewers
        self._viewers = 0
        self._told: dict[int, float] = {}  # when a refusal was last logged, by its status
        self._own = [*_ALWAYS, (b"content-security-policy", policy.encode())]

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer, or hand on to what is guarded."""
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if kind == "websocket":  # whose protocol is handed the names as they were sent
            headers = [(name.lower(), value) for name, value in scope["headers"]]
            scope = {**scope, "headers": headers}
        found = _minded(scope["headers"])
        if isinstance(found, Refusal):
            await self._turn_away(scope, found, send)
        elif (refusal := self._refusal(scope, found)) is not None:
            await self._turn_away(scope, refusal, send)
        elif kind == "websocket":
            await self._watch(_in_one_spelling(scope, found), receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Any, receive: Receive, send: Send) -> None:
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"].endswith("http.response.start"):
                started = True
                message["headers"] = self._guarded(message.get("headers", ()))
            await send(message)

        try:
            await self._app(scope, receive, guarded)
        except Exception:
            if not started and scope["type"] == "http":
                await self._refuse(scope, Refusal(500, "Internal Server Error"), send)
            raise

    async def _watch(self, scope: Any, receive: Receive, send: Send) -> None:
        """A websocket, counted while it is open: each is a session that holds memory."""
        self._viewers += 1
        channel = _InBytes(receive, send)
        try:
            await self._answer(scope, channel.receive, channel.send)
        finally:
            self._viewers -= 1

    def _refusal(self, scope: Scope, found: Mapping[bytes, str]) -> Refusal | None:
        host = parse_address(found.get(b"host", ""))
        if host is None:
            return Refusal(400, "Say in one Host header which address is asked.")
        if not self._hosts.serve(host):
            return _not_served(host)
        path: str = scope["path"]
        if not path.startswith("/"):
            return Refusal(400, "Ask for a path of this address, beginning with /.")
        if scope["type"] == "websocket":
            return self._refused_websocket(found, host)
        reading = scope["method"] in _READING
        if self._is_foreign(found, host) and not (
            reading and (_is_link(found) or self._is_friend(path, found))
        ):
            return _foreign(host)
        if path.startswith(_UPLOADS):
            return Refusal(404, "Nothing can be uploaded here.")
        if not reading and not self._is_api(path):
            return Refusal(405, "Pages are only read: GET, HEAD or OPTIONS.")
        return _refused_body(found)

    def _refused_websocket(self, found: Mapping[bytes, str], host: HostName) -> Refusal | None:
        if self._is_foreign(found, host):
            return _foreign(host)
        if self._viewers >= self._max_viewers:
            return Refusal(
                503,
                f"{self._max_viewers} pages are open already: close some, or set "
                "access.max_viewers higher in your control_room.toml.",
            )
        return None

    def _is_foreign(self, found: Mapping[bytes, str], host: HostName) -> bool:
        origin = found.get(b"origin")
        if origin is not None and not same_place(origin, host):
            return True
        return found.get(b"sec-fetch-site") in _ELSEWHERE

    def _is_friend(self, path: str, found: Mapping[bytes, str]) -> bool:
        return found.get(b"origin") in self._allowed_origins and self._is_api(path)

    def _guarded(self, headers: Iterable[tuple[bytes, bytes]]) -> Headers:
        given = list(headers)
        for name, _ in given:
            if name == b"content-security-policy":
                return given + _ALWAYS
        return given + self._own

    async def _turn_away(self, scope: Scope, refusal: Refusal, send: Send) -> None:
        self._tell(scope, refusal)
        await self._refuse(scope, refusal, send)

    async def _refuse(self, scope: Scope, refusal: Refusal, send: Send) -> None:
        """An answer in plain text. What else the client wanted to send is not read."""
        before = "websocket." if scope["type"] == "websocket" else ""
        if before and "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
            return
        body = f"{refusal.text}\n".encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
        ]
        start = {"status": refusal.status, "headers": self._guarded(headers)}
        await send({"type": f"{before}http.response.start", **start})
        await send({"type": f"{before}http.response.body", "body": body})

    def _tell(self, scope: Scope, refusal: Refusal) -> None:
        """Log it, at most once a minute of each kind: whoever is refused may ask for ever."""
        now = time.monotonic()
        if now - self._told.get(refusal.status, -_TOLD_EVERY_S) >= _TOLD_EVERY_S:
            self._told[refusal.status] = now
            what = "a websocket" if scope["type"] == "websocket" else "a request"
            log.warning("%s was refused (%d): %s", what, refusal.status, refusal.text)


class _InBytes:
    """A websocket that is closed at the first text: pages send bytes, and Streamlit fails at all
    else."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._closed = False

    async def receive(self) -> Message:
        message: Message = await self._receive()
        if message["type"] != "websocket.receive" or message.get("bytes") is not None:
            return message
        await self.send({"type": "websocket.close", "code": _NOT_TAKEN})
        self._closed = True
        return {"type": "websocket.disconnect", "code": _NOT_TAKEN}

    async def send(self, message: Message) -> None:
        if not self._closed:  # what is drawn meanwhile has nobody to go to
            await self._send(message)


_NOT_TAKEN: Final = 1003  # RFC 6455: a kind of data that is not accepted
_ALWAYS: Final[Headers] = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


def _minded(headers: Headers) -> dict[bytes, str] | Refusal:
    """The headers that decide, by name; each may be there once. ASGI has names in lower case."""
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in _MINDED:
            if name in found:
                return Refusal(400, f"The header {name.decode()} is there more than once.")
            found[name] = value.decode("latin-1")
    return found


def _in_one_spelling(scope: Any, found: Mapping[bytes, str]) -> Any:
    """The Host in the words of the Origin, which is the same place: Streamlit compares the words,
    and looks up its external address where they differ."""
    origin = found.get(b"origin")
    if origin is None:
        return scope
    host = origin.partition("://")[2].encode("latin-1")
    others = [(name, value) for name, value in scope["headers"] if name != b"host"]
    return {**scope, "headers": [(b"host", host), *others]}


def _is_link(found: Mapping[bytes, str]) -> bool:
    """Somebody followed a link to here: a page of its own, that the other page cannot look into."""
    return (
        b"origin" not in found
        and found.get(b"sec-fetch-mode") == "navigate"
        and found.get(b"sec-fetch-dest") == "document"
    )


def _refused_body(found: Mapping[bytes, str]) -> Refusal | None:
    """Only endpoints of the API may take a body, and a small one."""
    if b"transfer-encoding" in found:
        return Refusal(411, "Say in Content-Length how long the body is.")
    length = found.get(b"content-length")
    # Compared by its length first: int() refuses thousands of digits.
    if length is not None and (
        len(length) > 10 or not length.isdecimal() or int(length) > MAX_BODY_BYTES
    ):
        return Refusal(413, f"A body may have {MAX_BODY_BYTES} bytes at most.")
    return None


def _not_served(host: HostName) -> Refusal:
    return Refusal(
        421,
        f"This Control Room does not answer to the name {host.name}. If it is yours, put "
        f'allowed_hosts = ["{host.name}"] under [access] in your control_room.toml, or start it '
        f"with --set 'access.allowed_hosts=[\"{host.name}\"]'. Until then ask for localhost.",
    )


def _foreign(host: HostName) -> Refusal:
    return Refusal(
        403,
        f"Only pages of the same address ({host.name}) may ask this. Behind a proxy, let it pass "
        "on the Host that the browser sends, and name that in access.allowed_hosts. Another "
        "site's pages may read the API when it stands in api.allowed_origins.",
    )
