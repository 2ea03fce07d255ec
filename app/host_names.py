"""Names under which a server is asked: what a Host or an Origin header says, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

_LONGEST = 300  # a DNS name has at most 253 characters
_FORM: Final = re.compile(
    r"(?:\[(?P<v6>[0-9a-f:.]{2,45})\]|(?P<name>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?)"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HostName:
    """A name in lower case, or a number in its shortest form; ``port`` None: not told."""

    name: str
    port: int | None = None
    is_number: bool = False
    is_local: bool = False  # of the machine itself, wherever it is asked


def host_name(text: str) -> str:
    """A name or a number in its one form, without a port. Raises ValueError when it is none."""
    address = parse_address(bracketed(text))
    if address is None or address.port is not None:
        raise ValueError(f"{text!r}: a name or an address without a port, as in 'monitor.example'")
    return address.name


def parse_address(text: str) -> HostName | None:
    """What a Host header says; None when it is no ``name``, ``name:port`` or ``[v6]:port``."""
    return _parse(text) if len(text) <= _LONGEST else None


def parse_origin(text: str) -> HostName | None:
    """The place that an Origin header names, with its port; None for ``null`` and all else."""
    return _parse_origin(text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=256)
def _parse_origin(text: str) -> HostName | None:
    scheme, separator, rest = text.partition("://")
    default = _DEFAULT_PORTS.get(scheme)
    if not separator or default is None:
        return None
    address = parse_address(rest)
    if address is None or address.port is not None:
        return address
    return HostName(address.name, default, address.is_number, address.is_local)


def same_place(origin: str, host: HostName) -> bool:
    """Whether a page of ``origin`` was sent by ``host``. A port that ``host`` leaves out is that
    of the origin's scheme: only a proxy knows whether it speaks TLS to the browser."""
    place = parse_origin(origin)
    if place is None or place.name != host.name:
        return False
    if host.port is None:
        return place.port == _DEFAULT_PORTS[origin.partition("://")[0]]
    return place.port == host.port


@lru_cache(maxsize=256)
def _parse(text: str) -> HostName | None:
    form = _FORM.fullmatch(text.lower())
    if form is None:
        return None
    port = None if form["port"] is None else int(form["port"])
    if port is not None and port > 65535:
        return None
    number = _number(form["v6"] or form["name"])
    if number is not None:
        is_local = number.is_loopback
        return HostName(str(number), port, is_number=True, is_local=is_local)
    if form["v6"]:
        return None
    return HostName(form["name"], port, is_local=form["name"] == "localhost")


def _number(text: str) -> IPv4Address | IPv6Address | None:
    try:
        number = ip_address(text)
    except ValueError:
        return None
    mapped = number.ipv4_mapped if isinstance(number, IPv6Address) else None
    return mapped or number


def bracketed(text: str) -> str:
    """IPv6 addresses stand in brackets only where a port may follow."""
    return f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text
