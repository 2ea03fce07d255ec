"""An inference server that is looked at over HTTP is not believed: what it may answer is bounded.

Sockets that answer as no server should. The memory is that of a process that does nothing else
than to watch.
"""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.control_room.previews.conftest import Bench, bench
from tests.security.raw_server import RawServer, Talk, head_of
from tests.security.watched import MOST_GROWN_MB, Watched, watch

__all__ = ["bench"]  # the fixture

_JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def whole(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """An answer of known length."""
    told = "".join(f"{each}\r\n" for each in (*headers, f"Content-Length: {len(body)}"))
    return f"HTTP/1.1 {status}\r\n{told}\r\n".encode() + body


def answering(*, otherwise: bytes = b"{}", **bodies: bytes) -> Talk:
    """Answers by the last part of the path: ``health=b"{...}"``."""

    def talk(connection: socket.socket) -> None:
        while True:
            path = head_of(connection).split()[1].decode().partition("?")[0]
            body = bodies.get(path.strip("/").replace("/", "_"), otherwise)
            connection.sendall(whole(body))

    return talk


def bounded(
    talk: Talk, *, api: str = "native", seconds: float = 3, timeout_s: float = 2
) -> Watched:
    with RawServer(talk) as server:
        machine = {"http": {"url": server.url, "api": api}}
        found = watch(machine, seconds=seconds, timeout_s=timeout_s)
    assert found.grown_mb < MOST_GROWN_MB, f"grew by {found.grown_mb:.0f} MB"
    return found


def bomb(mebibytes: int) -> bytes:
    """Nothing but blanks, packed a thousand times smaller."""
    packing = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([*(packing.compress(b" " * 2**20) for _ in range(mebibytes)), packing.flush()])


class TestEndlessAnswers:
    def test_a_body_without_end(self) -> None:
        def talk(connection: socket.socket) -> None:
            head_of(connection)
            connection.sendall(_JSON + b"Transfer-Encoding: chunked\r\n\r\n")
            while True:
                connection.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")

        found = bounded(talk, seconds=5)
        assert "answers without end" in str(found.message)

    def test_headers_without_end(self) -> None:
        def talk(connection: socket.socket) -> None:
            head_of(connection)
            connection.sendall(_JSON)
            while True:
                connection.sendall(b"X-More: " + b"x" * 60_000 + b"\r\n")

        assert bounded(talk).states[-1] in ("unreachable", "unsupported")

    def test_interim_answers_without_end(self) -> None:
        def talk(connection: socket.socket) -> None:
            head_of(connection)
            while True:
                connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000)

        found = bounded(talk)
        assert found.states[-1] in ("timeout", "unreachable", "unsupported")
        assert found.slowest_s < 20

    def test_a_head_that_drips_is_late_as_a_whole(self) -> None:
        def talk(connection: socket.socket) -> None:
            head_of(connection)
            connection.sendall(_JSON + b"X: ")
            while True:
                connection.sendall(b"x")
                threading.Event().wait(0.2)

        found = bounded(talk, seconds=1, timeout_s=1)
        assert found.states[-1] == "timeout"
        assert found.slowest_s < 15

    def test_what_unpacks_to_gigabytes_is_not_unpacked(self) -> None:
        packed = bomb(1024)

        def talk(connection: socket.socket) -> None:
            while True:
                assert b"identity" in head_of(connection)
                connection.sendall(whole(packed, "Content-Encoding: gzip"))

        assert "packed" in str(bounded(talk).message)


class TestAnswersThatGrow:
    """Few bytes that become many objects."""

    @pytest.mark.parametrize(
        "body",
        [
            b"[" * 1_000_000,
            b'{"a":' * 500_000,
            b'{"gpu": [' + b"{}," * 1_300_000 + b"{}]}",
            b'{"gpu": [' + b"[]," * 1_300_000 + b"[]]}",
            b'{"gpu": ' + b"9" * 1_000_000 + b"}",
            b'{"gpu": "' + b"\\ud800" * 600_000 + b'"}',
        ],
        ids=["depth", "depth of objects", "objects", "lists", "digits", "half characters"],
    )
    def test_json(self, body: bytes) -> None:
        found = bounded(answering(otherwise=body))
        assert set(found.states) <= {"ok", "unsupported"}

    def test_a_million_lines_of_metrics(self) -> None:
        models = b'{"data": [{"id": "m"}]}'
        lines = b'vllm:num_requests_running{a="b"} 1\n' * 100_000
        found = bounded(answering(v1_models=models, metrics=lines), api="openai")
        assert found.states[-1] == "ok"
        assert "not in Prometheus's format" in found.problems[0]

    def test_a_line_of_metrics_without_end(self) -> None:
        models = b'{"data": [{"id": "m"}]}'
        line = b"vllm:num_requests_running{" + b'a="b",' * 500_000 + b"} 1\n"
        found = bounded(answering(v1_models=models, metrics=line), api="openai")
        assert found.slowest_s < 20

    def test_thousands_of_kinds_of_jobs_are_one(self) -> None:
        jobs = json.dumps({"jobs": [{"type": f"k{n}" * 100} for n in range(900)]}).encode()
        found = bounded(answering(health=b'{"worker_busy": true}', jobs=jobs))
        assert found.reading.count("JobQueue(") <= 21
        assert "kind='other'" in found.reading


class TestValues:
    def test_numbers_and_names_that_no_server_has(self) -> None:
        evil = "\x1b[2J\x07\u202egnp.exe\x9b" + "x" * 100_000
        huge = {"memory_total_mb": 1e300, "memory_used_mb": -(10**400), "power_draw_w": "NaN"}
        gpu = {"name": evil, "uuid": evil, "driver_version": evil, **huge}
        body = json.dumps(gpu).replace('"NaN"', "NaN").encode()
        system = json.dumps({"cpu_load": 1e999, "disk": [{"mount": evil + "\0", "used_gb": -1}]})
        found = bounded(
            answering(
                health=json.dumps({"worker_busy": 1, "active_model": evil}).encode(),
                gpu=body,
                system=system.encode(),
                settings_power_profile=json.dumps({"current": evil}).encode(),
            )
        )
        assert found.states[-1] == "ok"
        assert len(found.reading) < 5000
        told = found.reading.encode().decode("unicode_escape")
        assert not any(sign in told for sign in "\x1b\x07\u202e\x9b\0")


class TestWhoIsAnswered:
    def test_a_certificate_that_nobody_vouches_for(self, tmp_path: Path) -> None:
        context = self_signed(tmp_path)

        def talk(connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as secure:
                secure.recv(100)

        with RawServer(talk) as server:
            url = server.url.replace("http:", "https:")
            found = watch({"http": {"url": url}}, seconds=0)
        assert "its TLS certificate is not trusted: it signed itself" in str(found.message)

    @pytest.mark.parametrize(
        ("greeting", "told"),
        [
            (b"SSH-2.0-OpenSSH_9.9\r\n", "HTTP"),
            (b"", "hung up"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", "hung up"),
        ],
    )
    def test_who_speaks_something_else(self, greeting: bytes, told: str) -> None:
        def talk(connection: socket.socket) -> None:
            head_of(connection)
            connection.sendall(greeting)

        assert told in str(bounded(talk, seconds=0).message)


class TestTheRunnersServer:
    """The preview runner asks a server too, and is bounded as well."""

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            (lambda: whole(bomb(256), "Content-Encoding: gzip"), "packed"),
            (lambda: whole(b" " * (17 * 2**20)), "longer than 16 MiB"),
            (lambda: whole(b'{"choices":' + b"[" * 500_000), "is no JSON"),
            (lambda: whole(b"[" + b"{}," * 1_500_000 + b"{}]"), "is no JSON"),
        ],
        ids=["packed", "long", "deep", "many"],
    )
    def test_an_answer_that_is_none_is_that_examples_error(
        self, bench: Bench, answer: Callable[[], bytes], told: str
    ) -> None:
        body = answer()

        def talk(connection: socket.socket) -> None:
            head_of(connection)
            connection.sendall(body)
            while connection.recv(65536):
                continue

        bench.examples({"id": "one", "prompt": "1?", "golden": "4"})
        bench.checkpoint(1)
        with RawServer(talk) as server:
            more = "[decoding]\nlog_probs = false\n"
            settings = "attempts = 1\nconcurrency = 1\ntimeout_s = 60"
            bench.work_off(bench.runner(server.url, more, settings))
        (preview,) = bench.previews()
        assert told in str(preview.error)


def self_signed(directory: Path) -> ssl.SSLContext:
    """A server's context with a certificate of its own."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here (Debian: apt-get install openssl)")
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
