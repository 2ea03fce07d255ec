"""A kept-open SSH connection to a machine, with a shell on it.

Every step has its time limit, host keys are verified, and each way to fail has a name and says
what to do.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import paramiko

from collectors.machines.metered_socket import MeteredSocket
from collectors.machines.ssh_reading import SshTarget
from collectors.machines.ssh_route import MAX_KNOWN_HOSTS_BYTES, Hop, Keys, SshError, route
from control_room.error_words import words_for
from control_room.security.secret import read_regular, why_unreadable

log = logging.getLogger(__name__)

# What a machine may send: until it lets somebody in, and for one reading, encryption included.
_MAX_GREETING_BYTES = 2**18
_MAX_ANSWER_BYTES = 2 * 2**20
_MAX_SENT_BYTES = 2 * _MAX_ANSWER_BYTES
_CHUNK_BYTES = 2**16
_ENDLESS = "it prints without end where numbers were asked for"
# A machine that is gone is noticed by what it does not acknowledge, not by an answer that is late.
_KEEPALIVE_S = 5
_DEAD_AFTER_MS = 10_000


class _UnknownHostKey(paramiko.SSHException):
    """Carries the key that nobody vouches for."""

    def __init__(self, key: paramiko.PKey) -> None:
        super().__init__("unknown host key")
        self.key = key


class _Refuse(paramiko.MissingHostKeyPolicy):
    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        raise _UnknownHostKey(key)


class _Accept(paramiko.MissingHostKeyPolicy):
    """Where the user switched verification off; what was accepted is kept nowhere."""

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        return


class SshConnection:
    """Connected by the constructor, which raises :class:`SshError`. For one thread at a time."""

    def __init__(self, target: SshTarget, command: str) -> None:
        self._timeout_s = target.timeout_s
        self._clients: list[paramiko.SSHClient] = []
        self._meters: list[MeteredSocket] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        try:
            hops = route(target)
            transport = None
            for hop in hops:
                transport = self._connect(target, hop, transport)
            assert transport is not None  # a route ends at the machine itself
            self._channel = self._shell(hops[-1], transport, command)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the shell and the connections on the way."""
        for client in reversed(self._clients):
            with suppress(OSError, EOFError, paramiko.SSHException):
                client.close()
        self._clients.clear()

    def send(self, text: str) -> None:
        """Send ``text`` to the shell. Raises :class:`SshError`."""
        for meter in self._meters:
            meter.allow(_MAX_SENT_BYTES)
        self._channel.settimeout(self._timeout_s)
        with _explained("the connection was lost"):
            self._channel.sendall(text.encode())

    def received(self, deadline: float) -> Iterator[str]:
        """What the shell prints, until ``deadline`` (of ``time.monotonic``).

        Raises :class:`SshError` when the shell has ended, or prints without end.
        """
        size = 0
        while (left_s := deadline - time.monotonic()) > 0:
            self._channel.settimeout(left_s)
            try:
                data = self._channel.recv(_CHUNK_BYTES)
            except TimeoutError:
                return
            if any(meter.exceeded for meter in self._meters):
                raise SshError("unsupported", _ENDLESS)
            if not data:
                raise SshError("unreachable", "the machine closed the connection")
            size += len(data)
            if size > _MAX_ANSWER_BYTES:
                raise SshError("unsupported", _ENDLESS)
            yield self._decoder.decode(data)

    def _connect(
        self, target: SshTarget, hop: Hop, through: paramiko.Transport | None
    ) -> paramiko.Transport:
        client = paramiko.SSHClient()
        self._clients.append(client)
        for file in hop.known_hosts:
            _load_host_keys(client, file)
        client.set_missing_host_key_policy(_Refuse() if target.verify_host_key else _Accept())
        keys, began_at = Keys(hop), time.monotonic()
        meter: MeteredSocket | None = None
        try:
            meter = MeteredSocket(_socket(hop, through, target.timeout_s), _MAX_GREETING_BYTES)
            self._meters.append(meter)
            client.connect(
                hop.known_as,
                hop.port,
                hop.user,
                sock=meter,  # type: ignore[arg-type]  # it does what is asked of a socket
                timeout=2 * target.timeout_s,  # of agreeing on keys, the banner included
                banner_timeout=target.timeout_s,
                auth_timeout=target.timeout_s,
                channel_timeout=target.timeout_s,
                auth_strategy=keys,
            )
        except _UnknownHostKey as error:
            raise SshError("unknown_host_key", _unknown_key(hop, error.key)) from None
        except paramiko.BadHostKeyException as error:
            raise SshError("changed_host_key", _changed_key(hop, error.key)) from None
        except Exception as error:  # noqa: BLE001  # whatever a stranger's bytes make of the library
            if meter is not None and meter.exceeded:
                message = f"{hop.address} sends without end before it lets anybody in"
                raise SshError("unsupported", message) from None
            if isinstance(error, paramiko.AuthenticationException):
                raise _not_let_in(hop, keys, error) from None
            in_time = time.monotonic() - began_at < target.timeout_s
            raise _not_connected(hop, error, None if in_time else target.timeout_s) from None
        transport = client.get_transport()
        assert transport is not None  # it is connected
        transport.set_keepalive(_KEEPALIVE_S)
        return transport

    def _shell(self, hop: Hop, transport: paramiko.Transport, command: str) -> paramiko.Channel:
        with _explained(f"{hop.address} opens no session"):
            channel = transport.open_session(timeout=self._timeout_s)
            channel.settimeout(self._timeout_s)
            channel.set_combine_stderr(True)
            channel.exec_command(command)
        return channel


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise SshError("timeout", f"{what}: no answer in time") from None
    except (OSError, EOFError, paramiko.SSHException) as error:
        log.debug("%s: %s", what, error)
        raise SshError("unreachable", f"{what}: {words_for(error)}") from None


def _load_host_keys(client: paramiko.SSHClient, file: Path) -> None:
    try:
        read_regular(file, MAX_KNOWN_HOSTS_BYTES)
        client.load_system_host_keys(str(file))
    except FileNotFoundError:
        return
    except OSError as error:
        message = f"{file} cannot be read: {why_unreadable(error)}"
        raise SshError("unknown_host_key", message) from None
    except (paramiko.hostkeys.InvalidHostKey, ValueError):
        message = f"{file} has a line that is no host key: mend it, or name another file"
        raise SshError("unknown_host_key", message) from None


def _socket(hop: Hop, through: paramiko.Transport | None, timeout_s: float) -> Any:
    """What the connection runs over: a channel of the hop before, a command's pipes, or TCP."""
    if through is not None:
        return through.open_channel(
            "direct-tcpip", (hop.host, hop.port), ("127.0.0.1", 0), timeout=timeout_s
        )
    if hop.proxy_command is not None:
        return paramiko.ProxyCommand(hop.proxy_command)
    sock = socket.create_connection((hop.host, hop.port), timeout=timeout_s)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_AFTER_MS)
    return sock


def _unknown_key(hop: Hop, key: paramiko.PKey) -> str:
    return (
        f"{hop.known_hosts[0]} has no key of {hop.address}, which shows {_fingerprint(key)}. "
        f"Connect once by hand and compare: `{hop.login}`"
    )


def _changed_key(hop: Hop, key: paramiko.PKey) -> str:
    return (
        f"the key of {hop.address} is not the one in {hop.known_hosts[0]}: somebody may be "
        f"listening in, or the machine was installed anew. It shows {_fingerprint(key)}. If that "
        f"is right: `ssh-keygen -f {hop.known_hosts[0]} -R '{hop.known_hosts_name}'`, then "
        f"`{hop.login}`"
    )


def _fingerprint(key: paramiko.PKey) -> str:
    """As ``ssh`` shows it."""
    digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
    return f"{key.get_name()} SHA256:{digest}"


def _not_let_in(hop: Hop, keys: Keys, error: paramiko.AuthenticationException) -> SshError:
    results = [each.result for each in getattr(error, "result", None) or ()]
    if any("timeout" in str(result).lower() for result in results):
        return SshError("timeout", f"{hop.address} does not answer the login in time")
    if any(isinstance(result, (OSError, EOFError)) for result in results):
        return SshError("unreachable", f"{hop.address} hung up during the login")
    offered = "; ".join((f"keys offered: {len(results)}", *keys.unusable))
    return SshError(
        "auth_failed",
        f"{hop.address} does not let {hop.user} in ({offered}). "
        f"This must work without a password: `{hop.login}` (`ssh-copy-id` installs a key)",
    )


def _not_connected(hop: Hop, error: Exception, waited_s: float | None) -> SshError:
    """``waited_s``: the time limit, when it was reached."""
    if waited_s is not None:
        return SshError("timeout", f"{hop.address} does not answer within {waited_s:g} s")
    log.debug("%s: %s", hop.address, error)
    told = words_for(error)
    if isinstance(error, OSError):
        return SshError("unreachable", f"{hop.address} cannot be reached: {told}")
    return SshError("unreachable", f"{hop.address} hung up, or is no SSH server: {told}")
