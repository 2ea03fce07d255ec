"""A machine looked at over SSH: a real OpenSSH server, well, refusing, frozen, gone and back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from collectors.machines.ssh import SshWatch
from collectors.machines.ssh_reading import SshReading, SshTarget
from tests.collectors.machines.ssh import outputs
from tests.collectors.machines.ssh.sshd import Sshd, make_key, sshd_missing
from tests.support import free_port, wait_until

pytestmark = pytest.mark.skipif(sshd_missing() is not None, reason=sshd_missing() or "")

INTERVAL_S = 0.2


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    server = Sshd(tmp_path / "sshd")
    server.gpus(outputs.RTX_3090, processes=outputs.PROCESSES)
    yield server
    server.stop()


@pytest.fixture
def watching() -> Iterator[Callable[[SshTarget], SshWatch]]:
    watches: list[SshWatch] = []

    def watch(target: SshTarget) -> SshWatch:
        watches.append(SshWatch(target, name="box", interval_s=INTERVAL_S))
        return watches[-1]

    yield watch
    for each in watches:
        each.close()


Watching = Callable[[SshTarget], SshWatch]


def until(watch: SshWatch, state: str) -> SshReading:
    """Read until the state is this."""
    found: list[SshReading] = []

    def reached() -> bool:
        found.append(watch.read())
        return found[-1].state == state

    wait_until(reached, 20, f"a reading that is {state}")
    return found[-1]


def ok(watch: SshWatch) -> SshReading:
    reading = watch.read()
    assert reading.state == "ok", reading.message
    return reading


class TestGoodReadings:
    def test_one_line_brings_gpus_host_and_disk(self, server: Sshd, watching: Watching) -> None:
        watch = watching(server.target)
        first, second = ok(watch), ok(watch)
        assert first.gpus is not None and first.host is not None
        (gpu,) = first.gpus.gpus
        assert (gpu.name, gpu.vram_used_gb) == ("NVIDIA GeForce RTX 3090", 8)
        assert gpu.processes is not None and gpu.processes[0].name == "python3"
        assert first.host.hostname == socket.gethostname()
        assert first.host.ram_total_gb is not None and first.host.disk_total_gb is not None
        assert first.host.problem is None
        assert second.host is not None and second.answered_at is not None

    def test_the_connection_is_kept(self, server: Sshd, watching: Watching) -> None:
        watch = watching(server.target)
        for _ in range(5):
            ok(watch)
        log = (server.directory / "sshd.log").read_text()
        assert log.count("Accepted publickey") == 1
        assert server.asked().count("gpus") == 5
        assert server.asked().count("processes") == 1, "who uses the GPU is asked less often"

    def test_closing_ends_the_remote_shell(self, server: Sshd, watching: Watching) -> None:
        watch = watching(server.target)
        ok(watch)
        shells = [each for each in server.processes() if each.name() == "sh"]
        assert shells
        watch.close()
        wait_until(lambda: not any(map(psutil.Process.is_running, shells)), 20, "its end")

    def test_cards_of_all_kinds(self, server: Sshd, watching: Watching) -> None:
        server.gpus(f"{outputs.RTX_3090}\n{outputs.RTX_4090}\n{outputs.LOST}\n")
        gpus = ok(watching(server.target)).gpus
        assert gpus is not None
        assert [gpu.problem is None for gpu in gpus.gpus] == [True, True, False]

    def test_mig_instances_are_listed(self, server: Sshd, watching: Watching) -> None:
        server.gpus(outputs.A100_MIG, listed=outputs.A100_LIST)
        watch = SshWatch(server.target, name="box", clock=iter(range(0, 10_000, 20)).__next__)
        until(watch, "ok")
        reading = ok(watch)
        watch.close()
        assert reading.gpus is not None
        assert len(reading.gpus.gpus[0].mig_instances) == 2

    def test_a_machine_without_a_gpu_is_well(self, server: Sshd, watching: Watching) -> None:
        (server.directory / "bin" / "nvidia-smi").unlink()
        reading = ok(watching(server.target))
        assert reading.host is not None and reading.host.ram_total_gb is not None
        assert reading.gpus is not None and reading.gpus.state == "no_library"

    def test_an_old_nvidia_smi_is_asked_for_what_it_knows(
        self, server: Sshd, watching: Watching
    ) -> None:
        server.gpus('Field "temperature.gpu.tlimit" is not a valid field to query.', status=2)
        watch = watching(server.target)
        first = ok(watch).gpus
        assert first is not None and "tlimit" in str(first.message)
        server.gpus(outputs.RTX_3090.replace("41, 52, 3", "41, 3"))
        second = ok(watch).gpus
        assert second is not None and second.gpus[0].util_pct == 3

    def test_decimal_commas_of_the_remote_locale_do_no_harm(
        self, tmp_path: Path, watching: Watching
    ) -> None:
        server = Sshd(tmp_path / "german", environment="LC_ALL=de_DE.UTF-8 LANG=de_DE.UTF-8")
        try:
            server.gpus(outputs.RTX_3090)
            gpus = ok(watching(server.target)).gpus
            assert gpus is not None and gpus.gpus[0].power_w == 121.38
        finally:
            server.stop()

    def test_output_cut_in_half_keeps_the_rest(self, server: Sshd, watching: Watching) -> None:
        server.gpus(f"{outputs.RTX_3090}\n{outputs.RTX_4090[:30]}")
        gpus = ok(watching(server.target)).gpus
        assert gpus is not None
        assert [gpu.uuid for gpu in gpus.gpus] == ["GPU-3090"]
        assert "GPU-4090" in str(gpus.message)


class TestRefusals:
    def test_a_wrong_key_says_who_was_not_let_in_and_what_to_do(
        self, server: Sshd, watching: Watching, tmp_path: Path
    ) -> None:
        other = make_key(tmp_path / "other")
        reading = watching(replace(server.target, key_file=other)).read()
        assert reading.state == "auth_failed"
        assert f"does not let {server.user} in" in str(reading.message)
        assert "ssh-copy-id" in str(reading.message)

    def test_a_missing_or_locked_key_is_named(
        self, server: Sshd, watching: Watching, tmp_path: Path
    ) -> None:
        missing = watching(replace(server.target, key_file=tmp_path / "nowhere")).read()
        assert missing.state == "auth_failed"
        assert "nowhere does not exist" in str(missing.message)
        locked = make_key(tmp_path / "locked", passphrase="secret words")
        reading = watching(replace(server.target, key_file=locked)).read()
        assert "ssh-add" in str(reading.message)

    def test_who_is_not_let_in_is_not_tried_at_every_reading(
        self, server: Sshd, watching: Watching, tmp_path: Path
    ) -> None:
        watch = watching(replace(server.target, key_file=make_key(tmp_path / "other")))
        for _ in range(5):
            assert watch.read().state == "auth_failed"
        assert "tried again in" in str(watch.read().message)
        log = (server.directory / "sshd.log").read_text()
        assert log.count("Connection closed by authenticating user") <= 1

    def test_an_unknown_host_key_is_shown_with_the_command_that_mends_it(
        self, server: Sshd, watching: Watching
    ) -> None:
        server.known_hosts.write_text("")
        reading = watching(server.target).read()
        assert reading.state == "unknown_host_key"
        assert f"ssh -p {server.port} {server.user}@127.0.0.1" in str(reading.message)
        assert fingerprint(server.directory / "host_key") in str(reading.message)

    def test_a_changed_host_key_is_another_trouble(
        self, server: Sshd, watching: Watching, tmp_path: Path
    ) -> None:
        server.know(make_key(tmp_path / "former"))
        reading = watching(server.target).read()
        assert reading.state == "changed_host_key"
        assert f"ssh-keygen -f {server.known_hosts} -R '[127.0.0.1]:{server.port}'" in str(
            reading.message
        )

    def test_verification_can_be_switched_off(self, server: Sshd, watching: Watching) -> None:
        server.known_hosts.write_text("")
        ok(watching(replace(server.target, verify_host_key=False)))
        assert server.known_hosts.read_text() == "", "and what was accepted is kept nowhere"

    def test_no_shell_there_is_told_in_its_own_words(
        self, tmp_path: Path, watching: Watching
    ) -> None:
        server = Sshd(tmp_path / "jail", extra='ForceCommand echo "This account is closed."')
        try:
            reading = watching(server.target).read()
            assert reading.state == "unsupported"
            assert "This account is closed." in str(reading.message)
        finally:
            server.stop()

    def test_a_machine_that_prints_without_end_is_cut_off(
        self, tmp_path: Path, watching: Watching
    ) -> None:
        server = Sshd(tmp_path / "endless", extra="ForceCommand yes 0123456789012345678901234567")
        try:
            reading = watching(replace(server.target, timeout_s=60.0)).read()
            assert reading.state == "unsupported"
            assert "0123456789" in str(reading.message) or "without end" in str(reading.message)
        finally:
            server.stop()


class TestSilence:
    def test_a_port_where_nobody_listens(self, watching: Watching, server: Sshd) -> None:
        reading = watching(replace(server.target, port=free_port())).read()
        assert reading.state == "unreachable"
        assert "refused" in str(reading.message)

    def test_a_name_that_nobody_has(self, watching: Watching, server: Sshd) -> None:
        reading = watching(replace(server.target, host="no-such-host.invalid")).read()
        assert reading.state == "unreachable"
        assert "no-such-host.invalid" in str(reading.message)

    def test_a_banner_that_never_comes(self, watching: Watching, server: Sshd) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            reading = watching(replace(server.target, port=port, timeout_s=0.3)).read()
        assert reading.state == "timeout"
        assert f"127.0.0.1:{port} does not answer within 0.3 s" in str(reading.message)

    def test_what_listens_is_no_ssh_server(self, watching: Watching, server: Sshd) -> None:
        with socket.create_server(("127.0.0.1", 0)) as web:
            thread = threading.Thread(target=answer_and_hang_up, args=(web,))
            thread.start()
            target = replace(server.target, port=web.getsockname()[1], timeout_s=2.0)
            reading = watching(target).read()
            thread.join()
        assert reading.state in ("unreachable", "timeout")

    def test_a_killed_server_and_its_return(self, server: Sshd, watching: Watching) -> None:
        watch = watching(server.target)
        seen_at = ok(watch).answered_at
        server.stop()
        gone = until(watch, "unreachable")
        assert gone.host is None and gone.gpus is None
        assert gone.answered_at == seen_at, "when it was seen last stays known"
        server.start()
        ok(watch) if watch.read().state == "ok" else until(watch, "ok")

    def test_a_frozen_server_and_its_thaw(self, server: Sshd, watching: Watching) -> None:
        watch = watching(replace(server.target, timeout_s=0.5))
        until(watch, "ok")
        server.signal(signal.SIGSTOP)
        assert until(watch, "timeout").host is None
        assert watch.read().state == "timeout"
        server.signal(signal.SIGCONT)
        until(watch, "ok")
        log = (server.directory / "sshd.log").read_text()
        assert log.count("Accepted publickey") == 1, "it was waited for, not dialled again"


class TestHungDriver:
    def test_the_machine_is_still_seen_and_nothing_piles_up(
        self, server: Sshd, watching: Watching
    ) -> None:
        watch = watching(replace(server.target, timeout_s=0.5))
        ok(watch)
        (server.directory / "hang").touch()
        for _ in range(4):
            reading = ok(watch)
            assert reading.host is not None and reading.host.ram_total_gb is not None
            assert reading.gpus is not None
            assert "driver may hang" in str(reading.gpus.message)
        hanging = (server.directory / "hanging").read_text().split()
        assert len(hanging) == 1, "one probe is out, never two"
        (server.directory / "hang").unlink()
        os.kill(int(hanging[0]), signal.SIGTERM)

        def seen_again() -> bool:
            gpus = ok(watch).gpus
            return gpus is not None and bool(gpus.gpus)

        wait_until(seen_again, 20, "the GPU, seen again,")


class TestTheUsersOwnConfig:
    def test_aliases_users_ports_and_keys_come_from_it(
        self, server: Sshd, watching: Watching, tmp_path: Path
    ) -> None:
        config = tmp_path / "config"
        config.write_text(
            f"Host box\n  HostName 127.0.0.1\n  User {server.user}\n  Port {server.port}\n"
            f"  IdentityFile {server.key}\n  UserKnownHostsFile {server.known_hosts}\n"
        )
        ok(watching(SshTarget(host="box", config_file=config)))

    def test_a_jump_host_is_gone_through(
        self, server: Sshd, watching: Watching, tmp_path: Path
    ) -> None:
        inner = Sshd(tmp_path / "inner", extra="")
        try:
            inner.gpus(outputs.RTX_4090)
            inner.let_in(server.key)
            known = tmp_path / "known"
            known.write_text(server.known_hosts.read_text() + inner.known_hosts.read_text())
            config = tmp_path / "config"
            config.write_text(
                f"Host *\n  User {server.user}\n  IdentityFile {server.key}\n"
                f"  UserKnownHostsFile {known}\n"
                f"Host inner\n  HostName 127.0.0.1\n  Port {inner.port}\n  ProxyJump outer\n"
                f"Host outer\n  HostName 127.0.0.1\n  Port {server.port}\n"
            )
            gpus = ok(watching(SshTarget(host="inner", config_file=config))).gpus
            assert gpus is not None and gpus.gpus[0].uuid == "GPU-4090"
            assert "Accepted publickey" in (server.directory / "sshd.log").read_text()
        finally:
            inner.stop()

    def test_a_key_of_the_agent_is_offered(
        self, server: Sshd, watching: Watching, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        sock = tmp_path / "agent"
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(sock)], stdout=subprocess.DEVNULL)
        try:
            monkeypatch.setenv("SSH_AUTH_SOCK", str(sock))
            # The socket is there a moment before anybody listens on it.
            add = ["ssh-add", "-q", str(server.key)]
            wait_until(lambda: subprocess.run(add, check=False).returncode == 0, 20, "the agent")
            monkeypatch.setenv("HOME", str(tmp_path))
            ok(watching(replace(server.target, key_file=None)))
        finally:
            agent.terminate()
            agent.wait()

    def test_an_entry_that_makes_no_sense_is_named(
        self, watching: Watching, tmp_path: Path
    ) -> None:
        config = tmp_path / "config"
        config.write_text("Host box\n  Port eleven\n")
        reading = watching(SshTarget(host="box", config_file=config)).read()
        assert reading.state == "unreachable"
        assert f"{config}: the Port of box is no number" in str(reading.message)


def fingerprint(key: Path) -> str:
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", f"{key}.pub"], capture_output=True, text=True, check=True
    )
    return shown.stdout.split()[1]


def answer_and_hang_up(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
