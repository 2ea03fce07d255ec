"""Two machines behind a network of their own: one drops all packets, and comes back."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from collectors.machines.ssh import SshWatch
from collectors.machines.ssh_reading import SshReading
from collectors.sampler import Sampler, Source
from tests.collectors.machines.ssh import outputs
from tests.collectors.machines.ssh.sshd import Sshd, sshd_missing
from tests.support import wait_until

INTERVAL_S = 0.5


class Network:
    """A namespace with one end of a cable in it. Raises CalledProcessError where not allowed."""

    def __init__(self, number: int) -> None:
        self.name = f"cr-{os.getpid()}-{number}"
        self._cable = f"cr{os.getpid() % 100000}n{number}"
        self.address, self._host = f"10.213.{number}.2", f"10.213.{number}.1"
        ip("netns", "add", self.name)
        ip("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("address", "add", f"{self._host}/24", "dev", self._cable)
        ip("link", "set", self._cable, "up")
        for arguments in (
            ("address", "add", f"{self.address}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
        ):
            ip("-n", self.name, *arguments)

    def cut(self) -> None:
        """Everything that it sends from now on is lost, and nobody says so."""
        ip("-n", self.name, "route", "add", "blackhole", self._host)

    def mend(self) -> None:
        """Undo the cut."""
        ip("-n", self.name, "route", "delete", "blackhole", self._host)

    def remove(self) -> None:
        ip("netns", "delete", self.name)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[list[tuple[Network, Sshd]]]:
    if sshd_missing() is not None:
        pytest.skip(str(sshd_missing()))
    with ExitStack() as stack:
        machines = []
        for number in (1, 2):
            try:
                network = Network(number)
            except (OSError, subprocess.CalledProcessError) as error:
                pytest.skip(f"network namespaces are not allowed here: {error}")
            stack.callback(network.remove)
            server = Sshd(
                tmp_path / f"machine-{number}",
                address=network.address,
                inside=("ip", "netns", "exec", network.name),
            )
            stack.callback(server.stop)
            server.gpus((outputs.RTX_4090, outputs.RTX_3090)[number - 1])
            machines.append((network, server))
        yield machines


def test_a_machine_that_drops_packets_holds_up_nobody_and_comes_back(
    two: list[tuple[Network, Sshd]],
) -> None:
    watches = [
        SshWatch(replace(server.target, timeout_s=1.0), name="box", interval_s=INTERVAL_S)
        for _, server in two
    ]
    reads = [0, 0]

    def counted(place: int) -> SshReading:
        reads[place] += 1
        return watches[place].read()

    sampler = Sampler(
        [
            Source("cut", INTERVAL_S, lambda: counted(0), watches[0].close),
            Source("well", INTERVAL_S, lambda: counted(1), watches[1].close),
        ]
    )

    def state(name: str) -> str | None:
        reading = sampler.samples()[name].reading
        return None if reading is None else str(reading.state)

    sampler.start()
    try:
        wait_until(lambda: state("cut") == state("well") == "ok", 20, "both machines")
        network = two[0][0]
        network.cut()
        wait_until(lambda: state("cut") == "timeout", 20, "the silence")
        before = reads[1]
        wait_until(lambda: reads[1] >= before + 5, 20, "readings of the other machine")
        assert state("well") == "ok"
        assert state("cut") == "timeout"
        network.mend()
        wait_until(lambda: state("cut") == "ok", 20, "its return")
    finally:
        sampler.stop(timeout_s=10)
