"""How a machine is reached over SSH, and what one look at it brought."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from collectors.machines.gpu.reading import GpusReading
from collectors.machines.host import HostReading

SshState = Literal[
    "ok",
    "unreachable",  # refused, no route, no such name, hung up
    "timeout",  # no answer
    "auth_failed",
    "unknown_host_key",
    "changed_host_key",
    "unsupported",  # it answers, but not as a Linux machine with a shell does
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SshTarget:
    """How a machine is reached. What is None comes from ``config_file``, then from SSH's rules."""

    host: str  # a name, an address, or an alias of config_file
    user: str | None = None
    port: int | None = None
    key_file: Path | None = None
    config_file: Path = Path("~/.ssh/config")
    known_hosts_file: Path | None = None
    verify_host_key: bool = True
    timeout_s: float = 5.0  # of each step


@dataclass(frozen=True, slots=True, kw_only=True)
class SshReading:
    """What one look brought; ``host`` and ``gpus`` are None when ``state`` is not "ok"."""

    state: SshState
    message: str | None = None  # for a person: what is wrong and what to do
    host: HostReading | None = None
    gpus: GpusReading | None = None
    answered_at: float | None = None  # epoch seconds: when it answered last
