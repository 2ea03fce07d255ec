"""A machine that is looked at over SSH is not believed: what it may say is bounded.

A real sshd whose forced command is the attacker, and servers that break the protocol itself. The
memory is that of a process that does nothing else than to watch.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import paramiko
import pytest
from paramiko.common import AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from collectors.machines.ssh import SshWatch
from collectors.machines.ssh_reading import SshReading
from tests.collectors.machines.ssh import outputs
from tests.collectors.machines.ssh.sshd import Sshd, make_key, sshd_missing
from tests.security.raw_server import RawServer
from tests.security.watched import MOST_GROWN_MB, Watched, watch
from tests.support import wait_until

pytestmark = pytest.mark.skipif(sshd_missing() is not None, reason=sshd_missing() or "")

# How a forced command learns what it is asked, and answers.
_PREAMBLE = """
import os, sys, time
out = sys.stdout.buffer
GPU = b"0, GPU-1, 580, 41, 52, 3, 8192, 24576, 121.38, 350.00, 30, 0x0, [N/A], Card"
def say(data):
    out.write(data if isinstance(data, bytes) else data.encode()); out.flush()
def answer(part, number, text, status=0):
    if isinstance(text, str): text = text.encode()
    for line in text.split(b"\\n"): say(b"@%s %d:%s\\n" % (part.encode(), number, line))
    say(f"@@{part} {number} {status}\\n")
def questions():
    for line in sys.stdin:
        if line.startswith("probe "):
            _, number, fields, *parts = line.split()
            if number.isdigit(): yield int(number), parts
"""

Attacked = Callable[[str], "Sshd"]


@pytest.fixture
def attacker(tmp_path: Path) -> Iterator[Attacked]:
    """A server on which every login runs this Python code."""
    servers: list[Sshd] = []

    def start(code: str) -> Sshd:
        script = tmp_path / f"attack{len(servers)}.py"
        script.write_text(_PREAMBLE + code)
        servers.append(
            Sshd(tmp_path / f"sshd{len(servers)}", extra=f"ForceCommand {sys.executable} {script}")
        )
        return servers[-1]

    yield start
    for each in servers:
        each.stop()


def reached(server: Sshd) -> dict[str, Any]:
    """The settings of a machine that is this server."""
    target = server.target
    return {
        "ssh": {
            "host": target.host,
            "port": target.port,
            "user": target.user,
            "key_file": str(target.key_file),
            "config_file": str(target.config_file),
            "known_hosts_file": str(target.known_hosts_file),
        }
    }


def bounded(found: Watched) -> Watched:
    assert found.grown_mb < MOST_GROWN_MB, f"grew by {found.grown_mb:.0f} MB"
    return found


def one_reading(server: Sshd, readings: int = 1) -> SshReading:
    watching = SshWatch(server.target, name="box", interval_s=0.2)
    try:
        for _ in range(readings - 1):
            watching.read()
        return watching.read()
    finally:
        watching.close()


class TestFloods:
    @pytest.mark.parametrize(
        ("attack", "code"),
        [
            ("a line without end", "while True: say('A' * 65536)"),
            ("lines without end", "while True: say(('A' * 60 + chr(10)) * 1000)"),
            ("a message of the day without end", "while True: say('Welcome! ' * 1000 + chr(10))"),
            ("stderr without end", "while True: os.write(2, b'E' * 65536)"),
            (
                "an answer without end",
                "for number, parts in questions():\n while True: say(f'@host {number}:' + 'x' * "
                "200 + chr(10))",
            ),
            (
                "parts that nobody asked for",
                "n = 0\nwhile True:\n n += 1\n say(f'@p{n} 1:' + 'x' * 200 + chr(10))",
            ),
            (
                "a million graphics cards",
                "for number, parts in questions():\n answer('host', number, 'x')\n"
                " for part in parts:\n  line = b'@%s %d:%s\\n' % (part.encode(), number, GPU)\n"
                "  for _ in range(1_000): say(line * 1_000)",
            ),
        ],
    )
    def test_what_has_no_end_is_cut_off_and_named(
        self, attacker: Attacked, attack: str, code: str
    ) -> None:
        found = bounded(watch(reached(attacker(code)), seconds=6))
        assert "ok" not in found.states
        told = [each for each in found.messages if "without end" in each or "it says" in each]
        assert told, f"{attack}: {found.messages}"
        assert max(map(len, found.messages)) < 1000

    def test_a_trickle_that_never_ends_takes_nothing_either(self, attacker: Attacked) -> None:
        code = "for number, parts in questions():\n while True: say('A' * 4000); time.sleep(0.001)"
        found = bounded(watch(reached(attacker(code)), seconds=8, timeout_s=1.0))
        assert "ok" not in found.states
        assert found.slowest_s < 30

    def test_thousands_of_cards_and_processes_are_cut_and_named(self, attacker: Attacked) -> None:
        code = """
for number, parts in questions():
    for part in parts:
        if part == "gpu":
            answer(part, number, b"\\n".join(
                b"%d, GPU-%d" % (n, n) + GPU[8:] for n in range(5000)))
        elif part == "processes":
            answer(part, number, "\\n".join(f"GPU-1, {n}, 5, python" for n in range(9000)))
        else:
            answer(part, number, "x")
"""
        found = bounded(watch(reached(attacker(code))))
        assert found.states[-1] == "ok"
        assert found.gpus == 64
        assert "4,936 more" in str(found.gpu_message)


class TestTheProtocolItself:
    """No sshd would do this; who pretends to be one can."""

    def without_verification(self, port: int, key: Path | None = None) -> dict[str, Any]:
        ssh = {"host": "127.0.0.1", "port": port, "verify_host_key": False, "user": "me"}
        return {"ssh": {**ssh, "config_file": "/nowhere", "key_file": str(key or "/nowhere")}}

    def test_a_greeting_without_end(self) -> None:
        def talk(connection: socket.socket) -> None:
            while True:
                connection.sendall(b"SSH-2.0-" + b"A" * 2**20)

        with RawServer(talk) as server:
            found = bounded(watch(self.without_verification(server.port), seconds=6))
        assert any("sends without end" in each for each in found.messages), found.messages

    def test_lines_before_the_greeting_without_end(self) -> None:
        def talk(connection: socket.socket) -> None:
            while True:
                connection.sendall(b"hello\r\n" * 10_000)

        with RawServer(talk) as server:
            found = bounded(watch(self.without_verification(server.port)))
        assert set(found.states) <= {"unreachable", "unsupported"}

    def test_a_greeting_that_drips_is_late(self) -> None:
        def talk(connection: socket.socket) -> None:
            while True:
                connection.sendall(b"S")
                threading.Event().wait(0.2)

        with RawServer(talk) as server:
            found = watch(self.without_verification(server.port), seconds=1, timeout_s=0.5)
        assert found.slowest_s < 20
        assert found.states[-1] in ("timeout", "unreachable")

    def test_a_packet_that_says_it_has_four_gigabytes(self) -> None:
        def talk(connection: socket.socket) -> None:
            connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")
            # A length that fits the blocks of 8 bytes, then as much as is taken.
            connection.sendall((2**32 - 12).to_bytes(4, "big"))
            while True:
                connection.sendall(b"\0" * 2**20)

        with RawServer(talk) as server:
            found = bounded(watch(self.without_verification(server.port), seconds=8))
        assert any("sends without end" in each for each in found.messages), found.messages

    def test_more_than_the_window_that_was_granted(self, tmp_path: Path) -> None:
        own, user = make_key(tmp_path / "host"), make_key(tmp_path / "user")
        with RawServer(lambda connection: ignore_the_window(connection, own)) as server:
            machine = self.without_verification(server.port, user)
            found = bounded(watch(machine, seconds=8))
        assert any("without end" in each for each in found.messages), found.messages


class TestValues:
    def test_numbers_that_no_machine_has_are_left_out(self, attacker: Attacked) -> None:
        code = """
digits = "9" * 3000
for number, parts in questions():
    for part in parts:
        if part == "host":
            answer(part, number, f"cpu  {digits} 1 1 1 1\\nMemTotal: {digits} kB\\n"
                   f"MemAvailable: 5 kB\\nSwapTotal: -5 kB\\n{digits}.0 1.0 1.0 1/1 1\\n"
                   f"{digits}.5 5.5\\nbox")
        elif part == "disk":
            answer(part, number, f"/dev/sda {digits} {digits} 5 50% /")
        elif part == "gpu":
            answer(part, number, b"\\n".join([
                GPU.replace(b"41,", b"NaN,").replace(b"8192", b"1e999").replace(b"350", b"-inf"),
                b"\\xc2\\xb2" + GPU[1:], digits.encode() + GPU[1:]]))
        elif part == "processes":
            answer(part, number, f"GPU-1, \\u00b2, 5, a\\nGPU-1, {digits}, 5, b\\nGPU-1, 7, nan, c")
"""
        reading = one_reading(attacker(code), readings=2)
        assert reading.state == "ok", reading.message
        assert reading.host is not None and reading.gpus is not None
        host = reading.host
        assert (host.ram_total_gb, host.load_1m, host.uptime_s, host.cpu_pct) == (None,) * 4
        assert host.disk_total_gb is None and host.hostname == "box"
        (gpu,) = reading.gpus.gpus
        assert (gpu.temp_c, gpu.vram_used_gb, gpu.power_limit_w) == (None, None, None)
        assert [(each.pid, each.vram_used_gb) for each in gpu.processes or ()] == [(7, None)]

    def test_no_line_is_read_for_ever(self, attacker: Attacked) -> None:
        code = """
for number, parts in questions():
    for part in parts:
        answer(part, number, "cpu " + "1" * 60 + "x\\ncpu " + "1 " * 1500 + "x" if part == "host"
               else " 1" * 2000)
"""
        assert bounded(watch(reached(attacker(code)), seconds=1)).slowest_s < 20

    def test_what_terminals_and_pages_obey_does_not_arrive(self, attacker: Attacked) -> None:
        code = """
evil = "\\x1b]0;owned\\x07\\x1b[2J\\u202egnp.exe\\x9b31m"
for number, parts in questions():
    for part in parts:
        if part == "gpu": answer(part, number, GPU[:-4].decode() + evil + "\\n" + evil)
        elif part == "processes": answer(part, number, "GPU-1, 7, 5, /bin/" + evil)
        elif part == "disk": answer(part, number, evil, 1)
        else: answer(part, number, evil)
"""
        told = repr_as_printed(one_reading(attacker(code)))
        assert "owned" in told, "it is shown for what it is"
        assert not any(sign in told for sign in "\x1b\x07\u202e\x9b")

    def test_arguments_of_processes_are_not_shown(self, attacker: Attacked) -> None:
        code = """
for number, parts in questions():
    for part in parts:
        text = {"gpu": GPU.decode(), "processes":
                "GPU-1, 7, 5, /usr/bin/python train.py --api-key=CANARY-key -t CANARY-2\\n"
                "GPU-1, 8, 5, serve token=CANARY-token"}
        answer(part, number, text.get(part, "x"))
"""
        reading = one_reading(attacker(code))
        assert reading.gpus is not None and len(reading.gpus.gpus[0].processes or ()) == 2
        assert "CANARY" not in repr(reading)

    def test_broken_utf8_and_letters_cut_in_half(self, attacker: Attacked) -> None:
        code = """
for number, parts in questions():
    for part in parts:
        if part != "gpu": answer(part, number, b"\\xff\\xfe\\x80")
        else:
            for byte in f"@gpu {number}:{GPU[:-4].decode()}Gerät\\n@@gpu {number} 0\\n".encode():
                say(bytes([byte])); time.sleep(0.001)
"""
        reading = one_reading(attacker(code))
        assert reading.gpus is not None
        assert reading.gpus.gpus[0].name == "Gerät"


class TestAnswersToOtherQuestions:
    def test_are_not_taken(self, attacker: Attacked) -> None:
        code = """
for number, parts in questions():
    for part in parts:
        for other in (number - 1, number + 1, 999):
            answer(part, other, GPU)
"""
        watching = SshWatch(attacker(code).target, name="box", interval_s=0.2)
        with suppress(AttributeError):
            object.__setattr__(watching._target, "timeout_s", 1.0)
        states = [watching.read().state for _ in range(3)]
        watching.close()
        assert states == ["timeout"] * 3

    def test_a_late_answer_is_that_of_its_own_question(self, attacker: Attacked) -> None:
        """The card is 41 degrees when asked first; that is told late, and once."""
        code = """
for number, parts in questions():
    answer("host", number, "x"); answer("disk", number, "x")
    if "gpu" in parts and number == 1:
        held = number
    elif number == 2:
        answer("gpu", held, GPU)
    elif "gpu" in parts:
        answer("gpu", 1, GPU); answer("gpu", number, GPU.replace(b"41,", b"77,"))
"""
        server = attacker(code)
        watching = SshWatch(server.target, name="box", interval_s=0.2)
        object.__setattr__(watching._target, "timeout_s", 1.5)
        temperatures: list[float | None] = []

        def seen() -> bool:
            gpus = watching.read().gpus
            temperatures.extend(gpu.temp_c for gpu in (gpus.gpus if gpus else ()))
            return 77 in temperatures

        wait_until(seen, 30, "the newer answer")
        watching.close()
        assert temperatures == [41, 77]


class TestFilesOfTheClient:
    @pytest.mark.parametrize("which", ["key_file", "config_file", "known_hosts_file"])
    @pytest.mark.parametrize("kind", ["text", "pipe", "directory", "huge"])
    def test_a_file_that_is_another_is_named_and_not_quoted(
        self, tmp_path: Path, which: str, kind: str
    ) -> None:
        server = Sshd(tmp_path / "sshd")
        server.gpus(outputs.RTX_3090)
        file = tmp_path / "wrong"
        try:
            make_wrong(file, kind)
            machine = reached(server)
            machine["ssh"][which] = str(file)
            found = bounded(watch(machine, seconds=0))
        finally:
            server.stop()
        assert "CANARY" not in found.reading
        assert str(file) in str(found.message)


def make_wrong(file: Path, kind: str) -> None:
    if kind == "text":
        file.write_text("CANARY-password\nbox,CANARY ssh-rsa CANARY!\nHost *\n  CANARY\n")
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "directory":
        file.mkdir()
    else:
        with file.open("wb") as opened:
            opened.truncate(2**31)


def repr_as_printed(value: object) -> str:
    """All texts in the value as they are, not as Python spells them."""
    return repr(value).encode().decode("unicode_escape")


def ignore_the_window(connection: socket.socket, host_key: Path) -> None:
    """A real SSH handshake; then data, whatever window was granted."""

    class Door(paramiko.ServerInterface):
        def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
            return AUTH_SUCCESSFUL

        def get_allowed_auths(self, username: str) -> str:
            return "publickey"

        def check_channel_request(self, kind: str, chanid: int) -> int:
            return OPEN_SUCCEEDED

        def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
            return True

    transport = paramiko.Transport(connection)
    transport.add_server_key(paramiko.PKey.from_path(host_key))
    transport.start_server(server=Door())
    channel = transport.accept(20)
    if channel is None:
        return
    while transport.is_active():
        message = paramiko.Message()
        message.add_byte(paramiko.common.cMSG_CHANNEL_DATA)
        message.add_int(channel.remote_chanid)
        message.add_string(b"x" * 30_000)
        transport._send_user_message(message)  # type: ignore[attr-defined]  # what send() checks
