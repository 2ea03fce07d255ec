"""A real OpenSSH server on loopback, with its own keys and config, and a stand-in nvidia-smi.

Everything is real but the GPU: sshd, keys, shell, /proc, df.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from getpass import getuser
from pathlib import Path

import psutil

from collectors.machines.ssh_reading import SshTarget
from tests.support import free_port, wait_until

_CONFIG = """
Port {port}
ListenAddress {address}
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PubkeyAuthentication yes
AllowTcpForwarding yes
MaxSessions 100
MaxStartups 200
SetEnv PATH={directory}/bin:/usr/bin:/bin {environment}
{extra}
"""

# Replays what a file holds; a file named hang-pid makes it hang, and tells by which process.
_NVIDIA_SMI = """#!/bin/sh
case "$*" in
  *--query-gpu*) file=gpus ;;
  *--query-compute-apps*) file=processes ;;
  *) file=list ;;
esac
echo "$file" >> {directory}/asked
if [ -e {directory}/hang ]; then echo $$ >> {directory}/hanging; exec sleep 600; fi
case "${{LC_ALL-}}" in de_DE*) sed 's/\\([0-9]\\)\\.\\([0-9]\\)/\\1,\\2/g' {directory}/$file ;;
  *) cat {directory}/$file ;;
esac
exit $(cat {directory}/status)
"""


def sshd_missing() -> str | None:
    """Why there is no OpenSSH server here; None when there is one."""
    return None if _sshd() else "no OpenSSH server here (Debian: apt-get install openssh-server)"


def _sshd() -> str | None:
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A new key pair at ``path``."""
    path.unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path)]
    subprocess.run(command, check=True)
    return path


class Sshd:
    """One server, from construction until :meth:`stop`. Its files lie in ``directory``."""

    def __init__(
        self,
        directory: Path,
        *,
        environment: str = "",
        extra: str = "",
        address: str = "127.0.0.1",
        inside: Sequence[str] = (),
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.address = address
        self._inside = inside  # a command that runs another, in a network namespace say
        self.port = free_port()
        self.user = getuser()
        make_key(directory / "host_key")
        self.key = make_key(directory / "user_key")
        self.let_in(self.key)
        self.know()
        (directory / "bin").mkdir(exist_ok=True)
        config = _CONFIG.format(
            port=self.port,
            address=address,
            directory=directory,
            environment=environment,
            extra=extra,
        )
        (directory / "sshd_config").write_text(config)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def target(self) -> SshTarget:
        """How a monitor reaches it, with nothing of this machine's own SSH files."""
        return SshTarget(
            host=self.address,
            port=self.port,
            user=self.user,
            key_file=self.key,
            config_file=self.directory / "no_config",
            known_hosts_file=self.known_hosts,
            timeout_s=5.0,
        )

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    def let_in(self, key: Path) -> None:
        """Only this key opens it from now on."""
        shutil.copy(f"{key}.pub", self.directory / "authorized_keys")

    def know(self, host_key: Path | None = None) -> None:
        """Write its host key into its known_hosts."""
        kind, data, *_ = Path(f"{host_key or self.directory / 'host_key'}.pub").read_text().split()
        self.known_hosts.write_text(f"[{self.address}]:{self.port} {kind} {data}\n")

    def gpus(self, gpus: str, *, processes: str = "", listed: str = "", status: int = 0) -> None:
        """Let its nvidia-smi print this from now on."""
        for name, text in (("gpus", gpus), ("processes", processes), ("list", listed)):
            (self.directory / name).write_text(text)
        (self.directory / "status").write_text(str(status))
        script = self.directory / "bin" / "nvidia-smi"
        script.write_text(_NVIDIA_SMI.format(directory=self.directory))
        script.chmod(0o755)

    def asked(self) -> list[str]:
        """What its nvidia-smi was asked for, in order."""
        file = self.directory / "asked"
        return file.read_text().split() if file.exists() else []

    def start(self) -> None:
        """Start it, again on the same port, and wait until it listens."""
        sshd = _sshd()
        assert sshd is not None
        if os.geteuid() == 0:  # what the service's own start makes
            Path("/run/sshd").mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [*self._inside, sshd, "-D", "-e", "-f", str(self.directory / "sshd_config")],
            stderr=(self.directory / "sshd.log").open("ab"),
        )
        wait_until(self._listens, 20, f"sshd listening (see {self.directory / 'sshd.log'})")

    def processes(self) -> list[psutil.Process]:
        """The server and whatever it started, the youngest last."""
        assert self._process is not None
        try:
            server = psutil.Process(self._process.pid)
            return [server, *server.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server and to everything it started."""
        for process in self.processes():
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue

    def stop(self) -> None:
        """End it and everything it started, at once."""
        if self._process is None:
            return
        self.signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            return probe.connect_ex((self.address, self.port)) == 0
