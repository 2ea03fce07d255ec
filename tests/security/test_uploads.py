"""What is sent to the app stays outside: no route keeps a body, and sessions are counted.

Sizes are bounded: what would be gigabytes in an attack is some tens of megabytes here, and the
process's memory is measured against them.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.app.api.conftest import log_everything
from tests.security.raw_http import Answer, get, open_websocket, port_of, read_answer, send
from tests.support import PATIENCE_S, serving_app, wait_until

MB = 1 << 20
BODY_MB = 40
GROWTH_MB = 30  # of which most is what any first request costs


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    directory = tmp_path_factory.mktemp("uploads")
    log_everything(directory / "run")
    with serving_app(directory / "run", directory / "app.log") as address:
        yield port_of(address)


@pytest.fixture(scope="module")
def server(port: int) -> psutil.Process:
    """The process that listens there, once it has shown a page and answered everything once."""
    found = next(
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
    )
    with open_session(port):
        for path in ("/", "/api/status/live", "/api/preview/history", "/metrics", "/health"):
            get(port, path, f"Host: localhost:{port}")
    return psutil.Process(found)


def websocket(port: int) -> ClientConnection:
    return connect(
        f"ws://localhost:{port}/_stcore/stream",
        subprotocols=["streamlit"],  # type: ignore[list-item]  # a NewType over str
        max_size=None,
        open_timeout=PATIENCE_S,
    )


@contextmanager
def open_session(port: int) -> Iterator[str]:
    """The id of a page's session, while it is open without a browser."""
    asked = BackMsg()
    asked.rerun_script.query_string = ""
    with websocket(port) as opened:
        opened.send(asked.SerializeToString())
        message = ForwardMsg()
        while message.WhichOneof("type") != "new_session":
            message = ForwardMsg.FromString(opened.recv(timeout=PATIENCE_S, decode=False))
        yield message.new_session.initialize.session_id


def grown_mb(server: psutil.Process, before: int) -> float:
    return float((server.memory_info().rss - before) / MB)


def put(port: int, method: str, path: str, size: int, *headers: str) -> Answer:
    """Send ``size`` bytes in pieces, as long as somebody takes them."""
    first = f"{method} {path} HTTP/1.1"
    lines = [first, f"Host: localhost:{port}", f"Content-Length: {size}", *headers, "", ""]
    piece = b"x" * MB
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall("\r\n".join(lines).encode())
            for _ in range(size // MB):
                connection.sendall(piece)
        return read_answer(connection)


def test_an_upload_is_refused_and_not_read(port: int, server: psutil.Process) -> None:
    token = "2|00000000|00000000|1700000000"  # what a browser sends twice
    with open_session(port) as session:
        asked = get(port, "/_stcore/health", f"Host: localhost:{port}")
        cookie = asked.headers.get("set-cookie", f"_streamlit_xsrf={token}").partition(";")[0]
        crumbs = [f"Cookie: {cookie}", f"X-Xsrftoken: {cookie.partition('=')[2]}"]
        kind = "Content-Type: multipart/form-data; boundary=x"
        before = server.memory_info().rss
        head = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
        body = head + b"x" * (BODY_MB * MB) + b"\r\n--x--\r\n"
        for number in range(4):
            path = f"/_stcore/upload_file/{session}/{number}"
            lines = [f"Host: localhost:{port}", f"Content-Length: {len(body)}", kind, *crumbs]
            answer = send(port, f"PUT {path} HTTP/1.1", lines, body)
            assert (answer.status, answer.closed) == (404, True), answer
            assert b"Nothing can be uploaded" in answer.body
        assert grown_mb(server, before) < GROWTH_MB


@pytest.mark.parametrize(
    "path",
    [
        "/_stcore/upload_file/x/y",
        "/_stcore/%75pload_file/x/y",
        "//_stcore/upload_file/x/y",
        "/./_stcore/upload_file/x/y",
        "/_stcore/upload_file",
    ],
)
@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_the_upload_route_is_shut_however_it_is_spelled(port: int, method: str, path: str) -> None:
    answer = send(port, f"{method} {path} HTTP/1.1", [f"Host: localhost:{port}"])
    assert answer.status in (404, 405), answer
    assert answer.closed


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/previews",
        "/media/nothing",
        "/component/nothing",
        "/_stcore/health",
        "/_stcore/host-config",
        "/_stcore/metrics",
        "/_stcore/stream",
        "/_stcore/bidi-components/nothing",
        "/_stcore/agent/interact",
        "/_stcore/agent/mcp",
        "/_stcore/agent/openapi.json",
        "/auth/login",
        "/api/status/live",
        "/api/preview/history",
        "/api/nothing",
        "/health",
        "/metrics",
        "/status/training_status.json",
    ],
)
def test_no_route_reads_what_is_sent_to_it(port: int, server: psutil.Process, path: str) -> None:
    before = server.memory_info().rss
    for method in ("GET", "POST", "PUT", "OPTIONS"):
        answer = put(port, method, path, BODY_MB * MB, "Content-Type: application/json")
        assert answer.status in (405, 413), (method, answer)
        assert answer.closed
    assert grown_mb(server, before) < GROWTH_MB


def test_a_body_of_unknown_length_is_refused(port: int) -> None:
    chunked = [f"Host: localhost:{port}", "Transfer-Encoding: chunked"]
    answer = send(port, "POST /api/status/live HTTP/1.1", chunked, b"5\r\nhello\r\n0\r\n\r\n")
    assert (answer.status, answer.closed) == (411, True)
    for length in ("9" * 5_000, "-1", "1e9", "0x10", "\xb2"):
        lines = [f"Host: localhost:{port}", f"Content-Length: {length}"]
        assert send(port, "POST /api/status/live HTTP/1.1", lines).status in (400, 413), length


def test_headers_without_end_are_cut_off(port: int, server: psutil.Process) -> None:
    before = server.memory_info().rss
    for name in (f"X: {'x' * (20 * MB)}", "\r\n".join(f"X-{n}: x" for n in range(200_000))):
        answer = get(port, "/api/status/live", f"Host: localhost:{port}", name)
        assert answer.status in (0, 400, 431), answer
    answer = get(port, f"/{'x' * (20 * MB)}", f"Host: localhost:{port}")
    assert answer.status in (0, 400, 414, 431)
    assert grown_mb(server, before) < GROWTH_MB


def test_a_message_of_a_websocket_is_cut_off(port: int, server: psutil.Process) -> None:
    own = Path(f"/proc/{server.pid}")
    (own / "clear_refs").write_text("5")  # the highest is measured from now on
    before = server.memory_info().rss
    # Zeros: on the wire it is a thousandth of what it becomes.
    with websocket(port) as opened:
        with suppress(ConnectionClosed):
            opened.send(bytes(150 * MB))
            opened.recv(timeout=PATIENCE_S)
        closed = opened.protocol.close_rcvd
    assert closed is not None
    assert closed.code == 1009, "message too big"
    found = re.search(r"VmHWM:\s+(\d+) kB", (own / "status").read_text())
    assert found is not None
    assert int(found[1]) / 1024 - before / MB < 125, "it is not taken in whole"


def test_what_a_page_tells_of_its_widgets_is_small(port: int) -> None:
    with websocket(port) as opened:
        asked = BackMsg()
        asked.rerun_script.query_string = "x" * (3 * MB)
        opened.send(asked.SerializeToString())
        with pytest.raises(ConnectionClosed):
            while True:
                opened.recv(timeout=PATIENCE_S)
        closed = opened.protocol.close_rcvd
        assert closed is not None
        assert closed.code == 1009


def test_only_so_many_pages_are_open_at_once(tmp_path: Path) -> None:
    flags = ["--set", "access.max_viewers=3"]
    with serving_app(tmp_path / "run", tmp_path / "log", *flags) as address, ExitStack() as stack:
        port = port_of(address)
        opened = [stack.enter_context(websocket(port)) for _ in range(3)]
        with pytest.raises(InvalidStatus) as refused:
            websocket(port)
        assert refused.value.response.status_code == 503
        assert b"access.max_viewers" in refused.value.response.body
        assert get(port, "/api/status/live", f"Host: localhost:{port}").status == 200
        opened[0].close()

        def free_again() -> bool:
            return open_websocket(port, f"Host: localhost:{port}").status == 101

        wait_until(free_again, what="a place")


def test_a_refusal_is_quick_while_somebody_sends_slowly(port: int) -> None:
    slow = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    head = f"PUT /_stcore/upload_file/a/b HTTP/1.1\r\nHost: localhost:{port}\r\n"
    with slow:
        slow.sendall(f"{head}Content-Length: 1000000000\r\n\r\nx".encode())
        started = time.monotonic()
        assert read_answer(slow).status == 404
        assert time.monotonic() - started < PATIENCE_S / 2, "nobody waits for the body"
