"""Where an SSH connection goes and with which keys: from the settings and ``~/.ssh/config``."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from paramiko.auth_strategy import AuthSource, AuthStrategy, InMemoryPrivateKey
from paramiko.pkey import UnknownKeyType

from collectors.machines.ssh_reading import SshState, SshTarget
from control_room.security.secret import read_regular, why_unreadable

MAX_KNOWN_HOSTS_BYTES = 16 * 2**20
_MAX_CONFIG_BYTES = 2**20
_MAX_KEY_BYTES = 2**16
_KEY_ERRORS = (UnknownKeyType, UnsupportedAlgorithm)
_SYSTEM_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")
_USER_KNOWN_HOSTS = "~/.ssh/known_hosts"
_DEFAULT_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")


class SshError(Exception):
    """The machine cannot be asked. ``state`` names why; the text says it, and what to do."""

    def __init__(self, state: SshState, message: str) -> None:
        super().__init__(message)
        self.state: SshState = state


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One machine on the way, fully named."""

    host: str
    port: int
    user: str
    key_files: tuple[Path, ...]
    agent: bool
    known_hosts: tuple[Path, ...]
    known_as: str  # the name under which known_hosts has its key
    proxy_command: str | None = None

    @property
    def address(self) -> str:
        """For a person: the port only where it is not SSH's own."""
        return self.host if self.port == paramiko.config.SSH_PORT else f"{self.host}:{self.port}"

    @property
    def login(self) -> str:
        """The command that a person would connect with."""
        port = "" if self.port == paramiko.config.SSH_PORT else f"-p {self.port} "
        return f"ssh {port}{self.user}@{self.host}"

    @property
    def known_hosts_name(self) -> str:
        """How known_hosts spells :attr:`known_as`."""
        if self.port == paramiko.config.SSH_PORT:
            return self.known_as
        return f"[{self.known_as}]:{self.port}"


def route(target: SshTarget) -> list[Hop]:
    """The jump hosts in order, then the machine itself. Raises :class:`SshError`."""
    config = _config(target.config_file.expanduser())
    final, jumps = _hop(target, config, target.host, target.user, target.port)
    hops = []
    for jump in jumps:
        user, _, rest = jump.rpartition("@")
        host, _, port = rest.partition(":")
        if port and not port.isdigit():
            raise SshError("unreachable", f"{target.config_file}: ProxyJump names no port")
        hops.append(_hop(target, config, host, user or None, int(port) if port else None)[0])
    return [*hops, final]


class Keys(AuthStrategy):
    """The keys to offer: those of the files, then the agent's."""

    def __init__(self, hop: Hop) -> None:
        super().__init__(ssh_config=paramiko.SSHConfig())
        self._hop = hop
        self.unusable: list[str] = []  # why a key file was left out

    def get_sources(self) -> Iterator[AuthSource]:
        """Each key once, opened when its turn comes."""
        for file in self._hop.key_files:
            try:
                read_regular(file, _MAX_KEY_BYTES)
                if (certificate := file.with_name(f"{file.name}-cert.pub")).exists():
                    read_regular(certificate, _MAX_KEY_BYTES)
                key = paramiko.PKey.from_path(file)
            except FileNotFoundError:
                self.unusable.append(f"{file} does not exist")
            except OSError as error:
                self.unusable.append(f"{file} cannot be read: {why_unreadable(error)}")
            except (TypeError, paramiko.PasswordRequiredException):
                self.unusable.append(f"{file} has a passphrase: add it to the agent (`ssh-add`)")
            except (ValueError, paramiko.SSHException, *_KEY_ERRORS):
                # What the library says may quote the file.
                self.unusable.append(f"{file} is no private key that is understood")
            else:
                yield InMemoryPrivateKey(self._hop.user, key)
        if self._hop.agent:
            with closing(paramiko.Agent()) as agent:
                for key in agent.get_keys():
                    yield InMemoryPrivateKey(self._hop.user, key)


def _config(file: Path) -> paramiko.SSHConfig:
    """Its lines are not quoted: the file may be another than was meant."""
    try:
        text = read_regular(file, _MAX_CONFIG_BYTES).decode("utf-8")
        return paramiko.SSHConfig.from_text(text)
    except FileNotFoundError:
        return paramiko.SSHConfig()
    except OSError as error:
        message = f"{file} cannot be read: {why_unreadable(error)}"
        raise SshError("unreachable", message) from None
    except (paramiko.ConfigParseError, ValueError):
        raise SshError("unreachable", f"{file} is no configuration of SSH") from None


def _hop(
    target: SshTarget, config: paramiko.SSHConfig, name: str, user: str | None, port: int | None
) -> tuple[Hop, list[str]]:
    """The machine called ``name``, and the jump hosts that its entry asks for."""
    try:
        found = config.lookup(name)
    except ImportError:
        message = f"{target.config_file} has a Match that needs `pip install invoke`"
        raise SshError("unreachable", message) from None
    except (paramiko.ConfigParseError, KeyError, ValueError):
        message = f"{target.config_file} has an entry for {name} that is not understood"
        raise SshError("unreachable", message) from None
    host = str(found["hostname"])
    told_port = str(found.get("port", paramiko.config.SSH_PORT))
    if not told_port.isdigit():
        raise SshError("unreachable", f"{target.config_file}: the Port of {name} is no number")
    files = [str(target.key_file)] if target.key_file else list(found.get("identityfile", ()))
    known = [str(target.known_hosts_file)] if target.known_hosts_file else _known_hosts(found)
    jump = str(found.get("proxyjump", "none"))
    command = found.get("proxycommand")
    hop = Hop(
        host=host,
        port=port or int(told_port),
        user=user or found.get("user") or getpass.getuser(),
        key_files=tuple(
            path
            for file in files or _DEFAULT_KEYS
            if (path := Path(file).expanduser()).exists() or files
        ),
        agent=target.key_file is None and found.get("identitiesonly", "no") != "yes",
        known_hosts=(*(Path(file).expanduser() for file in known), _SYSTEM_KNOWN_HOSTS),
        known_as=str(found.get("hostkeyalias", host)),
        proxy_command=None if command is None else str(command),
    )
    return hop, [] if jump == "none" else [part.strip() for part in jump.split(",")]


def _known_hosts(found: paramiko.SSHConfigDict) -> list[str]:
    return str(found.get("userknownhostsfile", _USER_KNOWN_HOSTS)).split()
