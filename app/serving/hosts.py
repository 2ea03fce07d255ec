"""Under which names the app is asked: what a Host or an Origin says, and which are served.

A browser sends the name that stands in its address. A name whose owner lets it lead here (DNS
rebinding) is thereby told from the names that the user means.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from app.settings import Settings

_LONGEST = 300  # a DNS name has at most 253 characters
_FORM: Final = re.compile(
    r"(?:\[(?P<v6>[0-9a-f:.]{2,45})\]|(?P<name>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?)"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """A name in lower case, or a number in its shortest form; ``port`` None: not told."""

    name: str
    port: int | None = None
    is_number: bool = False
    is_local: bool = False  # of the machine itself, wherever it is asked


@dataclass(frozen=True, slots=True)
class Hosts:
    """What a Host header may say."""

    names: frozenset[str] = frozenset()  # beside those of the machine itself
    any_number: bool = False  # a number leads to one machine, whoever owns which name

    def serve(self, address: Address) -> bool:
        """Whether requests that were sent to ``address`` are answered. Its port may be any."""
        return (
            address.is_local
            or address.name in self.names
            or (self.any_number and address.is_number)
        )


def hosts_of(settings: Settings) -> Hosts:
    """The names that follow from the settings.

    Bound to loopback: only its own, whatever port a tunnel gives it. Bound to more: also numbers,
    the name that is bound and the machine's.
    """
    names = {host_name(host) for host in settings.access.allowed_hosts}
    bound = parse_address(_bracketed(settings.host))
    if bound is not None and bound.is_local:
        return Hosts(frozenset(names))
    own = socket.gethostname().lower()
    short = own.partition(".")[0]
    names |= {own, short, f"{short}.local"}
    if bound is not None:
        names.add(bound.name)
    return Hosts(frozenset(names), any_number=True)


def host_name(text: str) -> str:
    """A name or a number as :class:`Hosts` knows it. Raises ValueError when it is none."""
    address = parse_address(_bracketed(text))
    if address is None or address.port is not None:
        raise ValueError(f"{text!r}: a name or an address without a port, as in 'monitor.example'")
    return address.name


def parse_address(text: str) -> Address | None:
    """What a Host header says; None when it is no ``name``, ``name:port`` or ``[v6]:port``."""
    return _parse(text) if len(text) <= _LONGEST else None


def parse_origin(text: str) -> Address | None:
    """The place that an Origin header names, with its port; None for ``null`` and all else."""
    return _parse_origin(text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=256)
def _parse_origin(text: str) -> Address | None:
    scheme, separator, rest = text.partition("://")
    default = _DEFAULT_PORTS.get(scheme)
    if not separator or default is None:
        return None
    address = parse_address(rest)
    if address is None or address.port is not None:
        return address
    return Address(address.name, default, address.is_number, address.is_local)


def same_place(origin: str, host: Address) -> bool:
    """Whether a page of ``origin`` was sent by ``host``. A port that ``host`` leaves out is that
    of the origin's scheme: only a proxy knows whether it speaks TLS to the browser."""
    place = parse_origin(origin)
    if place is None or place.name != host.name:
        return False
    if host.port is None:
        return place.port == _DEFAULT_PORTS[origin.partition("://")[0]]
    return place.port == host.port


@lru_cache(maxsize=256)
def _parse(text: str) -> Address | None:
    form = _FORM.fullmatch(text.lower())
    if form is None:
        return None
    port = None if form["port"] is None else int(form["port"])
    if port is not None and port > 65535:
        return None
    number = _number(form["v6"] or form["name"])
    if number is not None:
        is_local = number.is_loopback
        return Address(str(number), port, is_number=True, is_local=is_local)
    if form["v6"]:
        return None
    return Address(form["name"], port, is_local=form["name"] == "localhost")


def _number(text: str) -> IPv4Address | IPv6Address | None:
    try:
        number = ip_address(text)
    except ValueError:
        return None
    mapped = number.ipv4_mapped if isinstance(number, IPv6Address) else None
    return mapped or number


def _bracketed(text: str) -> str:
    """IPv6 addresses stand in brackets only where a port may follow."""
    return f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text
