"""Over a hostile run, asked in thousands of ways, the server answers as described and stays up."""

from __future__ import annotations

import json
import random
import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from websockets.exceptions import ConnectionClosedError, WebSocketException
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.security.hostile_run import TEXTS, record_hostile_run
from tests.support import PATIENCE_S, serving_app, wait_until

EXAMPLES = 75  # of each operation that has parameters, and as many that are wrong on purpose
LEAST_CASES = 2_500  # in all
OWN_CASES = 3_000  # sent as bytes, as no client would
FRAMES = 200
SEED = 14
METHODS = (*["GET"] * 20, "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get")
PLACES = (
    *("/", "/previews", "/sql", "/static/", "/static/index.html", "/media/", "/component/x/y"),
    *("/_stcore/health", "/_stcore/host-config", "/_stcore/upload_file/a/b", "/_stcore/stream"),
    *("/_stcore/bidi-components/x", "/_stcore/metrics", "/script-health-check", "/favicon.png"),
    *("/status/training_status.json", "/status/../etc/passwd", "/api/docs-static/", "/nothing"),
    *("//", "/..", "/%00", "/%2e%2e/%2e%2e/etc/passwd", "/\\..\\..", "/api/%2e%2e/", "*", "x"),
)
PARAMETERS = ("limit", "offset", "since", "q", "fields", "regime", "run", "page", "x", "")
NAMES = (
    *("Accept-Encoding", "If-None-Match", "Range", "Cookie", "Accept", "Content-Type", "X-Y"),
    *("Forwarded", "X-Forwarded-Host", "X-Forwarded-For", "Upgrade", "Connection", "Expect"),
    *("Transfer-Encoding", "Sec-WebSocket-Key", "Authorization", "If-Modified-Since"),
)
VALUES = (
    *("", "*", "gzip;q=0", "gzip;q=NaN", "bytes=0-", "bytes=9-1,-1", '"', "W/", "chunked"),
    *("websocket", "100-continue", "a" * 5_000, "\x7f", "é", "Basic !", "\t", "0"),
)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the server says while it is asked."""
    return tmp_path_factory.mktemp("fuzzing") / "app.log"


@pytest.fixture(scope="module")
def address(log: Path) -> Iterator[str]:
    """Of the app, once it has read the hostile run."""
    record_hostile_run(log.parent / "run")
    with serving_app(log.parent / "run", log) as served:

        def has_read() -> bool:
            return httpx.get(f"{served}/api/preview/history", timeout=30).status_code == 200

        wait_until(has_read, 60, "the hostile run")
        yield served


def test_every_answer_is_as_described(address: str, log: Path) -> None:
    described = schemathesis.openapi.from_url(f"{address}/api/openapi.json")
    cases = 0
    results: list[Any] = list(described.get_all_operations())
    for operation in (result.ok() for result in results):
        for mode in schemathesis.GenerationMode:

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                derandomize=True,  # the same cases everywhere: a failure is one of the change
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: Any) -> None:
                nonlocal cases
                cases += 1
                case.call_and_validate(base_url=address, timeout=PATIENCE_S)

            # Without parameters there is nothing to get wrong.
            with suppress(Unsatisfiable):
                ask()
    assert cases >= LEAST_CASES, "fewer cases than this test is for"
    assert_well(address, log)


def test_no_request_of_any_shape_is_a_server_error(address: str, log: Path) -> None:
    """``OWN_CASES`` of them, byte by byte, on kept-open and on broken-off connections."""
    draw = random.Random(SEED)
    addresses = [*PLACES, *httpx.get(f"{address}/api/openapi.json").json()["paths"]]
    answered: Counter[int] = Counter()
    for _ in range(OWN_CASES):
        request = _request(draw, addresses, urlsplit(address).netloc)
        status = _status_of(address, request)
        assert status < 500, (status, request[:300])
        answered[status] += 1
    assert answered[200] > OWN_CASES // 20, answered
    assert sum(answered[status] for status in answered if status >= 400) > OWN_CASES // 20, answered
    assert_well(address, log)


def test_no_websocket_frame_ends_the_server(address: str, log: Path) -> None:
    draw = random.Random(SEED)
    stream = address.replace("http:", "ws:") + "/_stcore/stream"
    for _ in range(FRAMES):
        with (
            suppress(WebSocketException, OSError, TimeoutError),
            connect(
                stream,
                subprotocols=[Subprotocol("streamlit")],
                open_timeout=PATIENCE_S,
                close_timeout=1,
            ) as opened,
        ):
            for _ in range(draw.randrange(1, 4)):
                size = draw.choice((0, 1, 2, 20, 2_000))
                frame = draw.randbytes(size)
                opened.send(frame if draw.random() < 0.8 else draw.choice(TEXTS[1:2] + TEXTS[7:]))
            opened.recv(timeout=0.05)
    assert_well(address, log)


@pytest.mark.parametrize(
    ("frame", "code"), [("a text", 1003), ("", 1003), (b"\xff" * 20, 1002)], ids=repr
)
def test_a_frame_that_no_page_sends_closes_its_websocket_and_fills_no_log(
    address: str, log: Path, frame: str | bytes, code: int
) -> None:
    stream = address.replace("http:", "ws:") + "/_stcore/stream"
    before = log.stat().st_size
    with connect(stream, subprotocols=[Subprotocol("streamlit")]) as opened:
        opened.send(frame)
        with pytest.raises(ConnectionClosedError) as closed:
            while True:
                opened.recv(timeout=PATIENCE_S)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code
    assert_well(address, log)
    assert log.stat().st_size == before, log.read_text()[before:]


def assert_well(address: str, log: Path) -> None:
    """The server is healthy, has the whole history, and had nothing to complain of."""
    health = httpx.get(f"{address}/health", timeout=PATIENCE_S)
    assert health.status_code == 200, health.text
    page = httpx.get(f"{address}/api/preview/history?limit=1", timeout=PATIENCE_S).json()
    assert page["count"] == 1
    assert "Traceback" not in log.read_text(), log.read_text()[-5_000:]


def _request(draw: random.Random, addresses: list[str], host: str) -> bytes:
    """Some request: mostly well-formed with one or two things odd about it."""
    place = draw.choice(addresses)
    place = re.sub(r"\{.*?\}", lambda _: _told(draw), place)
    if draw.random() < 0.7:
        pairs = [f"{draw.choice(PARAMETERS)}={_told(draw)}" for _ in range(draw.randrange(4))]
        place += "?" + draw.choice("&;").join(pairs)
    headers = [] if draw.random() < 0.03 else [f"Host: {host}"]
    headers += [f"{draw.choice(NAMES)}: {draw.choice(VALUES)}" for _ in range(draw.randrange(4))]
    body = b""
    if draw.random() < 0.3:
        body = json.dumps({draw.choice(PARAMETERS): draw.choice(TEXTS)}).encode()
        length = len(body) if draw.random() < 0.8 else draw.choice((0, -1, 3, "x", 10**30))
        headers.append(f"Content-Length: {length}")
    version = "HTTP/1.1" if draw.random() < 0.95 else draw.choice(("HTTP/1.0", "HTTP/9.9", ""))
    head = "\r\n".join([f"{draw.choice(METHODS)} {place} {version}", *headers, "", ""])
    request = head.encode("utf-8", "surrogatepass") + body
    if draw.random() < 0.05:
        at = draw.randrange(len(request))
        request = request[:at] + draw.randbytes(3) + request[at + 3 :]
    return request


def _told(draw: random.Random) -> str:
    text = draw.choice(TEXTS)[:2_000] if draw.random() < 0.7 else draw.choice(VALUES)
    safe = "" if draw.random() < 0.9 else "/?&=#%<>\"'"
    return quote(text.encode("utf-8", "surrogatepass"), safe=safe)


def _status_of(address: str, request: bytes) -> int:
    """Of the answer; 0 where the server hung up or is still waiting for more of the request."""
    where = urlsplit(address)
    with socket.create_connection((where.hostname or "", where.port or 0), PATIENCE_S) as opened:
        opened.sendall(request)
        opened.shutdown(socket.SHUT_WR)
        answer = b""
        with suppress(ConnectionError):
            while b"\r\n" not in answer and (more := opened.recv(4_096)):
                answer += more
    found = re.match(rb"HTTP/1\.1 (\d{3})", answer)
    return int(found[1]) if found else 0
