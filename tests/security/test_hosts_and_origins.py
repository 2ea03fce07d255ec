"""Who may ask: names that lead here, pages of this address alone, and nothing looked up for it.

The attacks are those of a page in somebody's browser: a name rebound to this machine, another
port of it, a frame around the app. The headers are also sent as no browser would.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.app.api.conftest import log_everything
from tests.security.chromium import another_server, unprotected
from tests.security.raw_http import Answer, get, open_websocket, port_of, send
from tests.support import serving_app

PATHS = (
    "/",
    "/previews",
    "/api/status/live",
    "/api/preview/history",
    "/api/docs",
    "/metrics",
    "/health",
    "/status/training_status.json",
    "/_stcore/health",
    "/_stcore/host-config",
    "/_stcore/metrics",
    "/_stcore/agent/openapi.json",
    "/media/nothing",
    "/static/index.html",
    "/component/nothing",
)
NOT_OURS = "evil.example"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The port of the real app over a run that has everything, and the run's directory."""
    directory = tmp_path_factory.mktemp("guarded")
    run_dir = directory / "run"
    log_everything(run_dir)
    with serving_app(run_dir, directory / "app.log") as address:
        yield port_of(address), run_dir


@pytest.fixture(scope="module")
def port(served: tuple[int, Path]) -> int:
    return served[0]


@pytest.mark.parametrize("path", PATHS)
def test_a_name_that_was_rebound_to_this_machine_reads_nothing(port: int, path: str) -> None:
    answer = get(port, path, f"Host: {NOT_OURS}:{port}")
    assert answer.status == 421, answer
    assert "access.allowed_hosts" in answer.body.decode()
    assert NOT_OURS in answer.body.decode()


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:9000",  # ssh -L 9000:localhost:8501
        "LOCALHOST:8501",
        "localhost.",
        "127.0.0.1",
        "127.0.0.1:65535",
        "127.8.9.10:8501",
        "[::1]",
        "[::1]:8501",
        "[0:0:0:0:0:0:0:1]:8501",
        "[::ffff:127.0.0.1]:8501",
    ],
)
def test_every_name_of_this_machine_itself_is_served(port: int, host: str) -> None:
    assert get(port, "/api/status/live", f"Host: {host}").status == 200
    assert open_websocket(port, f"Host: {host}").status == 101


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [""],
        [NOT_OURS],
        [f"{NOT_OURS}."],
        ["localhost.evil.example"],
        ["evil.localhost"],
        ["127.0.0.1.evil.example"],
        ["localhost@evil.example"],
        ["evil.example@localhost"],
        ["user:password@localhost:8501"],
        ["localhost:8501@evil.example"],
        ["localhost, evil.example"],
        ["localhost evil.example"],
        ["localhost/evil.example"],
        ["localhost#evil.example"],
        ["localhost:evil"],
        ["localhost:8501:8501"],
        ["localhost:"],
        ["localhost:999999"],
        ["localhost.."],
        ["::1"],
        ["[::1"],
        ["[::1]evil.example"],
        ["[fe80::1%25lo]"],
        ["0x7f.1"],
        ["2130706433"],
        ["0.0.0.0"],
        ["192.168.1.5"],
        ["8.8.8.8"],
        ["\xeb\x9c"],
        ["loc\xe4lhost"],
        ["l" * 7_000],
        ["localhost", NOT_OURS],
        [NOT_OURS, "localhost"],
        ["localhost", "localhost"],
    ],
    ids=lambda hosts: " & ".join(hosts)[:40] or "none",
)
def test_whatever_else_a_host_header_says_is_refused(port: int, hosts: list[str]) -> None:
    headers = [f"Host: {host}" for host in hosts]
    assert get(port, "/api/status/live", *headers).status in (400, 421, 431)
    assert open_websocket(port, *headers).status in (0, 400, 403, 421, 431)


def test_a_host_of_any_length_is_refused(port: int) -> None:
    for length in (300, 8_000, 40_000, 100_000):
        assert get(port, "/", f"Host: {'l' * length}").status in (400, 421, 431), length


def test_an_old_client_without_a_host_is_refused(port: int) -> None:
    assert send(port, "GET /api/status/live HTTP/1.0", []).status == 400
    assert send(port, "GET /api/status/live HTTP/1.0", [f"Host: {NOT_OURS}"]).status == 421
    assert send(port, "GET /api/status/live HTTP/1.0", ["Host: localhost"]).status == 200


@pytest.mark.parametrize(
    "forged",
    [
        "X-Forwarded-Host: localhost",
        "Forwarded: host=localhost",
        "X-Host: localhost",
        "X-Original-Host: localhost",
        "X-Forwarded-Server: localhost",
    ],
)
def test_what_a_proxy_is_said_to_have_seen_is_not_believed(port: int, forged: str) -> None:
    assert get(port, "/api/status/live", f"Host: {NOT_OURS}", forged).status == 421
    turned = forged.replace("localhost", NOT_OURS)
    assert get(port, "/api/status/live", "Host: localhost", turned).status == 200


def test_a_whole_address_in_the_request_line_opens_nothing(port: int) -> None:
    for host in (NOT_OURS, "localhost"):
        line = f"GET http://{NOT_OURS}/api/status/live HTTP/1.1"
        assert send(port, line, [f"Host: {host}"]).status in (400, 421), host


def origins_of_others(port: int) -> list[str]:
    return [
        f"http://{NOT_OURS}",
        f"http://{NOT_OURS}:{port}",
        f"http://localhost:{port + 1}",
        "http://localhost",
        f"http://127.0.0.1:{port}",  # the same machine, and another origin all the same
        f"http://localhost:{port}@{NOT_OURS}",
        f"http://{NOT_OURS}/localhost:{port}",
        f"http://localhost:{port}.{NOT_OURS}",
        f"file://localhost:{port}",
        f"chrome-extension://localhost:{port}",
        f"localhost:{port}",
        "null",
        "",
        "http://",
        "x" * 7_000,
    ]


def test_a_page_of_another_place_opens_no_websocket(port: int) -> None:
    for origin in origins_of_others(port):
        answer = open_websocket(port, f"Host: localhost:{port}", f"Origin: {origin}")
        assert answer.status == 403, origin
        assert b"same address" in answer.body, answer
    two = [f"Origin: http://localhost:{port}", f"Origin: http://{NOT_OURS}"]
    assert open_websocket(port, f"Host: localhost:{port}", *two).status == 400


def test_a_page_of_another_place_changes_nothing(port: int) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "BREW"):
        for origin in origins_of_others(port):
            for path in ("/api/notes", "/", "/_stcore/agent/interact", "/health"):
                headers = [f"Host: localhost:{port}", f"Origin: {origin}", "Content-Length: 0"]
                answer = send(port, f"{method} {path} HTTP/1.1", headers)
                assert answer.status == 403, (method, origin, path)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:{port}", "http://localhost:{port}"),
        ("127.0.0.1:{port}", "http://127.0.0.1:{port}"),
        ("localhost:9000", "http://localhost:9000"),
        ("[::1]:{port}", "http://[::1]:{port}"),
        ("localhost", "http://localhost"),
        ("localhost:443", "https://localhost"),  # behind a proxy that speaks TLS
        ("localhost", "https://localhost"),
        ("LOCALHOST:{port}", "http://localhost:{port}"),
        ("localhost.:{port}", "http://localhost.:{port}"),
    ],
)
def test_a_page_of_the_same_address_opens_the_websocket(port: int, host: str, origin: str) -> None:
    headers = [f"Host: {host}".format(port=port), f"Origin: {origin}".format(port=port)]
    assert open_websocket(port, *headers).status == 101


def test_a_program_that_is_no_browser_needs_no_origin(port: int) -> None:
    assert open_websocket(port, f"Host: localhost:{port}").status == 101


def test_what_a_browser_says_of_where_a_request_comes_from_is_minded(port: int) -> None:
    def said(site: str, mode: str, dest: str) -> Answer:
        lines = [f"Sec-Fetch-Site: {site}", f"Sec-Fetch-Mode: {mode}", f"Sec-Fetch-Dest: {dest}"]
        return get(port, "/api/status/live", f"Host: localhost:{port}", *lines)

    for site in ("cross-site", "same-site"):
        assert said(site, "no-cors", "image").status == 403, "an image of another page"
        assert said(site, "no-cors", "script").status == 403, "a script of another page"
        assert said(site, "navigate", "iframe").status == 403, "a frame of another page"
        assert said(site, "cors", "empty").status == 403, "a fetch of another page"
        assert said(site, "navigate", "document").status == 200, "a link"
    assert said("same-origin", "cors", "empty").status == 200
    assert said("none", "navigate", "document").status == 200
    headers = [f"Host: localhost:{port}", "Sec-Fetch-Site: cross-site"]
    assert open_websocket(port, *headers).status == 403


def test_pages_of_allowed_origins_read_the_api_and_nothing_else(tmp_path: Path) -> None:
    friend = "http://dashboards.example:3000"
    flags = ["--set", f"api.allowed_origins={json.dumps([friend])}"]
    with serving_app(tmp_path / "run", tmp_path / "log", *flags) as address:
        port = port_of(address)
        fetched = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"]
        headers = [f"Host: localhost:{port}", f"Origin: {friend}", *fetched]
        read = get(port, "/api/status/live", *headers)
        assert read.status == 200
        assert read.headers["access-control-allow-origin"] == friend
        asked = ["Access-Control-Request-Method: GET", "Access-Control-Request-Headers: pragma"]
        assert send(port, "OPTIONS /api/status/live HTTP/1.1", [*headers, *asked]).status == 200
        assert get(port, "/", *headers).status == 403
        assert open_websocket(port, *headers).status == 403
        post = send(port, "POST /api/status/live HTTP/1.1", [*headers, "Content-Length: 0"])
        assert post.status == 403
        stranger = [f"Host: localhost:{port}", f"Origin: http://{NOT_OURS}", *fetched]
        assert get(port, "/api/status/live", *stranger).status == 403


def test_names_of_the_settings_are_served(tmp_path: Path) -> None:
    names = json.dumps(["Monitor.Example.", "192.168.7.7", "fd00::7"])
    flags = ["--set", f"access.allowed_hosts={names}"]
    with serving_app(tmp_path / "run", tmp_path / "log", *flags) as address:
        port = port_of(address)
        for host in ("monitor.example", "MONITOR.example:443", "192.168.7.7:80", "[fd00::7]"):
            assert get(port, "/health", f"Host: {host}").status == 200, host
            same = f"Origin: https://{host.removesuffix(':443')}"
            assert open_websocket(port, f"Host: {host}", same).status == 101, host
        assert get(port, "/health", "Host: sub.monitor.example").status == 421
        assert get(port, "/health", "Host: localhost").status == 200


def test_an_app_for_the_network_is_asked_by_address_and_by_its_own_name(tmp_path: Path) -> None:
    with serving_app(tmp_path / "run", tmp_path / "log", "--host", "0.0.0.0") as address:
        port = port_of(address)
        own = socket.gethostname()
        # A number cannot be rebound to another machine; a name can.
        for host in ("192.168.1.5", "10.0.0.7:8501", "[fd00::5]", own, f"{own}:80", "localhost"):
            assert get(port, "/health", f"Host: {host}").status == 200, host
        assert get(port, "/health", f"Host: {NOT_OURS}").status == 421
        foreign = [f"Host: 192.168.1.5:{port}", f"Origin: http://{NOT_OURS}"]
        assert open_websocket(port, *foreign).status == 403


ATTACK = """async ([http, ws]) => {
    const tried = {};
    const ask = async (name, path, options) => {
        try {
            const answer = await fetch(http + path, options);
            tried[name] = `${answer.status} ${answer.type} ${(await answer.text()).length}`;
        } catch (error) { tried[name] = 'failed'; }
    };
    await ask('history', '/api/preview/history');
    await ask('page', '/');
    await ask('unseen', '/api/preview/history', {mode: 'no-cors'});
    await ask('note', '/api/notes', {method: 'POST', mode: 'no-cors', body: 'text=owned'});
    await ask('upload', '/_stcore/upload_file/x/y', {method: 'PUT', body: 'owned'});
    tried.websocket = await new Promise(resolve => {
        const socket = new WebSocket(ws + '/_stcore/stream', ['streamlit']);
        socket.onopen = () => resolve('open');
        socket.onerror = () => resolve('refused');
    });
    tried.script = await new Promise(resolve => {
        const script = document.createElement('script');
        script.onload = () => resolve('loaded');
        script.onerror = () => resolve('refused');
        script.src = http + '/api/status/live';
        document.head.append(script);
    });
    return tried;
}"""


@contextmanager
def page_of(browser: Browser, address: str) -> Iterator[Page]:
    """An attacker's page that has this address."""

    def serve(route: Route) -> None:
        route.fulfill(body="<title>attack</title>", content_type="text/html")

    with browser.new_context() as context:
        page = context.new_page()
        page.route(f"{address}/attack", serve)
        page.goto(f"{address}/attack")
        yield page


@pytest.mark.browser
def test_a_browser_whose_dns_was_rebound_gets_nothing(
    browser: Browser, served: tuple[int, Path]
) -> None:
    port, run_dir = served
    theirs = f"http://{NOT_OURS}:{port}"
    with unprotected(browser, NOT_OURS) as fooled, page_of(fooled, theirs) as page:
        tried = page.evaluate(ATTACK, [theirs, f"ws://{NOT_OURS}:{port}"])
        opened = page.goto(f"{theirs}/")
        assert opened is not None
        assert opened.status == 421
        assert "allowed_hosts" in page.content()
    assert tried["websocket"] == "refused"
    assert tried["script"] == "refused"
    for what in ("history", "page", "unseen", "note", "upload"):
        assert tried[what].startswith("421 "), tried
    assert not list(run_dir.rglob("notes*")), "no note was written"


@pytest.mark.browser
def test_a_page_of_another_port_gets_nothing(browser: Browser, served: tuple[int, Path]) -> None:
    port, run_dir = served
    with another_server() as other, unprotected(browser, NOT_OURS) as fooled:
        for theirs in (f"http://localhost:{other.port}", f"http://{NOT_OURS}:{other.port}"):
            with fooled.new_context() as context:
                page = context.new_page()
                page.goto(theirs)
                tried = page.evaluate(
                    ATTACK, [f"http://localhost:{port}", f"ws://localhost:{port}"]
                )
            assert tried["websocket"] == "refused", theirs
            assert tried["script"] == "refused", theirs
            for what in ("history", "page", "upload"):
                assert tried[what] == "failed", (theirs, tried)
            for what in ("unseen", "note"):  # opaque: sent, refused, and nothing learnt
                assert tried[what] in ("0 opaque 0", "failed"), (theirs, tried)
    assert not list(run_dir.rglob("notes*")), "no note was written"


@pytest.mark.browser
def test_no_page_of_another_place_frames_the_app(
    browser: Browser, served: tuple[int, Path]
) -> None:
    port, _ = served
    frame = """address => new Promise(resolve => {
        const frame = document.createElement('iframe');
        frame.onload = () => resolve('loaded');
        frame.src = address;
        document.body.append(frame);
    })"""
    with another_server() as other, unprotected(browser, NOT_OURS) as fooled:
        for theirs in (f"http://localhost:{other.port}", f"http://{NOT_OURS}:{other.port}"):
            with fooled.new_context() as context:
                page = context.new_page()
                page.goto(theirs)
                page.evaluate(frame, f"http://localhost:{port}/")
                framed = page.frames[1]
                assert framed.query_selector("#root") is None, theirs
                assert f"localhost:{port}" not in framed.url, theirs
