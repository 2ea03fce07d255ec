"""Nothing leaves this machine: not at the start, not while pages are used, not for a refusal.

Watched from three sides: an audit hook in the server (what Python does), strace where there is one
(what the kernel is asked, by anybody in the process), and the kernel's own table of sockets.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, expect

from tests.app.api.conftest import log_everything
from tests.security.raw_http import get, open_websocket, send
from tests.support import PATIENCE_S, ROOT, free_port, wait_until

STRACE = shutil.which("strace")
PAGES = ["", *sorted(path.stem for path in (ROOT / "pages").glob("[!_]*.py"))]
API = (
    *("/api/status/live", "/api/status/system", "/api/preview/history", "/api/docs", "/metrics"),
    *("/api/preview/export?format=csv", "/health", "/status/training_status.json"),
    *("/_stcore/health", "/_stcore/host-config", "/_stcore/metrics", "/_stcore/agent/openapi.json"),
)


@dataclass
class Watched:
    """A server and what was seen of it."""

    port: int
    process: subprocess.Popen[bytes]
    audit: Path
    trace: Path
    log: Path
    sockets: set[str] = field(default_factory=set)  # remote addresses in the kernel's table

    def gone_out(self) -> list[str]:
        """Everything that was not for this machine alone, from all three sides."""
        said = self.audit.read_text() if self.audit.exists() else ""
        audited = [line for line in said.splitlines() if not harmless(line)]
        traced = self.trace.read_text() if self.trace.exists() else ""
        calls = [line for line in traced.splitlines() if leaves(line)]
        return audited + calls + [f"socket to {each}" for each in sorted(self.sockets)]


def is_own(host: str) -> bool:
    """Whether an address, which must be a number, is of this machine alone."""
    with suppress(ValueError):
        number = ipaddress.ip_address(host)
        mapped = getattr(number, "ipv4_mapped", None)
        return (mapped or number).is_loopback or number.is_unspecified
    return False


def harmless(line: str) -> bool:
    """Whether a line of the audit asked nobody: own numbers, pipes and files."""
    event, told, _ = line.split("\t")
    if event.startswith(("subprocess", "os.")):
        return not re.search(r"curl|wget|nslookup|\bdig\b|\bhost\b|\bip\b", told)
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = re.match(r"(None|'[^']*'|b'[^']*')", told)
        name = host[1].strip("b'") if host else told
        return name in ("None", "", "localhost") or is_own(name)
    found = re.search(r"\('([^']*)', (\d+)", told)
    return found is None or (is_own(found[1]) and found[2] != "53")


def leaves(line: str) -> bool:
    """Whether a call in strace's words was for another machine, or for a resolver on this one."""
    if not re.search(r"\b(connect|sendto|sendmsg|sendmmsg)\(", line):
        return False
    found = re.search(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"', line)
    port = re.search(r"port=htons\((\d+)\)", line)
    if found is None:
        return False
    return not is_own(found[1] or found[2]) or (port is not None and port[1] == "53")


@contextmanager
def watched(directory: Path, arguments: Sequence[str], port: int) -> Iterator[Watched]:
    """``python -m arguments`` under all three eyes, once it answers on ``port``."""
    seen, trace = directory / "audit", directory / "trace"
    log = directory / "server.log"
    command = [sys.executable, "-m", "tests.security.audited", str(seen), *arguments]
    if STRACE is not None:
        # -D: the server is the child, and strace stands aside.
        calls = "trace=connect,sendto,sendmsg,sendmmsg"
        quietly = ["-D", "-f", "--seccomp-bpf", "-qq"]
        command = [STRACE, *quietly, "-e", calls, "-o", str(trace), *command]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "STREAMLIT_HOME": str(directory)}
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
    found = Watched(port, server, seen, trace, log)
    stop = threading.Event()
    table = threading.Thread(target=_watch_table, args=(found, stop))
    table.start()
    try:

        def answers() -> bool:
            assert server.poll() is None, log.read_text()
            with suppress(OSError):
                return get(port, "/_stcore/health", "Host: localhost").status == 200
            return False

        wait_until(answers, 3 * PATIENCE_S, "an answer")
        yield found
    finally:
        stop.set()
        table.join()
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _watch_table(found: Watched, stop: threading.Event) -> None:
    server = psutil.Process(found.process.pid)
    while not stop.wait(0.02):
        with suppress(psutil.Error):
            for connection in server.net_connections("inet"):
                if connection.raddr and not is_own(connection.raddr.ip):
                    found.sockets.add(f"{connection.raddr.ip}:{connection.raddr.port}")


def refuse_everything(port: int) -> None:
    """Ask as strangers do."""
    own = f"Host: localhost:{port}"
    for host in ("evil.example", "8.8.8.8", "checkip.amazonaws.com", f"127.0.0.1:{port}"):
        for origin in ("http://evil.example", f"http://localhost:{port + 1}", "null", "http://0"):
            open_websocket(port, f"Host: {host}", f"Origin: {origin}")
            send(port, "POST / HTTP/1.1", [f"Host: {host}", f"Origin: {origin}"])
            get(port, "/api/status/live", f"Host: {host}", f"Origin: {origin}")
    forwarded = ("X-Forwarded-For: 203.0.113.7", "X-Forwarded-Host: evil.example")
    get(port, "/api/status/live", own, *forwarded)
    # The same place in other words: Streamlit would take it for another.
    for host, origin in (("localhost:80", "http://localhost"), ("LOCALHOST", "http://localhost")):
        answer = open_websocket(port, f"Host: {host}", f"Origin: {origin}")
        assert answer.status == 101, answer


@pytest.mark.browser
def test_nothing_leaves_at_the_start_in_use_and_for_refusals(
    browser: Browser, tmp_path: Path
) -> None:
    log_everything(tmp_path / "run")
    port = free_port()
    arguments = ["app", "--run-dir", str(tmp_path / "run"), "--port", str(port)]
    with watched(tmp_path, arguments, port) as server:
        for path in API:
            get(port, path, f"Host: localhost:{port}")
        page = browser.new_page()
        for name in PAGES:
            page.goto(f"http://localhost:{port}/{name}")
            app = page.get_by_test_id("stApp")
            expect(app).to_have_attribute("data-test-script-state", "notRunning")
        page.goto(f"http://localhost:{port}/sql")
        for question in (
            "SELECT * FROM read_csv('https://evil.example/x.csv')",
            "SELECT * FROM 's3://evil/x.parquet'",
            "INSTALL httpfs",
        ):
            page.get_by_role("textbox", name="Question (one SELECT)").fill(question)
            page.get_by_role("button", name="Ask").click()
            expect(page.get_by_test_id("stAlert").first).to_be_visible()
        page.close()
        refuse_everything(port)
        assert get(port, "/api/status/live", f"Host: localhost:{port}").status == 200
    assert server.audit.exists()
    if STRACE is not None:
        assert server.trace.exists()
    assert server.gone_out() == []


@pytest.mark.parametrize("start", ["for the network", "streamlit run", "uvicorn"])
def test_nothing_leaves_however_it_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    port = free_port()
    monkeypatch.setenv("CONTROL_ROOM_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("CONTROL_ROOM_PORT", str(port))
    run = ["streamlit", "run", str(ROOT / "app" / "server.py"), f"--server.port={port}"]
    arguments = {
        "for the network": ["app", "--host", "0.0.0.0"],
        "streamlit run": [*run, "--server.address=0.0.0.0"],
        "uvicorn": ["uvicorn", "app.server:app", "--port", str(port)],
    }[start]
    with watched(tmp_path, arguments, port) as server:
        refuse_everything(port)
    assert server.gone_out() == []


def test_the_eyes_see(tmp_path: Path) -> None:
    program = tmp_path / "asks.py"
    program.write_text(
        "import socket\n"
        "try: socket.getaddrinfo('name.invalid', 80)\n"
        "except OSError: pass\n"
        "with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:\n"
        "    try: s.connect(('192.0.2.1', 1))\n"
        "    except OSError: pass\n"
        "with socket.socket() as s:\n"
        "    try: s.connect(('127.0.0.1', 1))\n"
        "    except OSError: pass\n"
    )
    seen, trace = tmp_path / "audit", tmp_path / "trace"
    command = [sys.executable, "-m", "tests.security.audited", str(seen), "asks"]
    if STRACE is not None:
        command = [STRACE, "-f", "-qq", "-e", "trace=connect", "-o", str(trace), *command]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    told = [line for line in seen.read_text().splitlines() if not harmless(line)]
    assert [line.split("\t")[0] for line in told] == ["socket.getaddrinfo", "socket.connect"]
    if STRACE is not None:
        assert any("192.0.2.1" in line for line in trace.read_text().splitlines() if leaves(line))
        assert not any("127.0.0.1" in ln for ln in trace.read_text().splitlines() if leaves(ln))
