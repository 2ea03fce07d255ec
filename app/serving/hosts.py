"""Under which names the app is asked, and which of them are served.

A browser sends the name that stands in its address. A name whose owner lets it lead here (DNS
rebinding) is thereby told from the names that the user means.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from app.host_names import HostName, bracketed, host_name, parse_address
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Hosts:
    """What a Host header may say."""

    names: frozenset[str] = frozenset()  # beside those of the machine itself
    any_number: bool = False  # a number leads to one machine, whoever owns which name

    def serve(self, address: HostName) -> bool:
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
    bound = parse_address(bracketed(settings.host))
    if bound is not None and bound.is_local:
        return Hosts(frozenset(names))
    own = socket.gethostname().lower()
    short = own.partition(".")[0]
    names |= {own, short, f"{short}.local"}
    if bound is not None:
        names.add(bound.name)
    return Hosts(frozenset(names), any_number=True)
