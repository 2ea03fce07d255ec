"""What one look at an inference server brought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from collectors.jobs import JobQueue
from collectors.machines.gpu.reading import GpusReading
from collectors.machines.host import HostReading

ServerState = Literal["ok", "unreachable", "timeout", "auth_failed", "unsupported", "error"]
ServerApi = Literal["auto", "native", "openai"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReading:
    """What one look brought. None: not told; ``problems`` name the parts that do not answer."""

    state: ServerState
    message: str | None = None  # for a person: what is wrong and what to do
    api: ServerApi | None = None
    server: str | None = None  # the program, where it says so
    active_model: str | None = None
    requests_running: float | None = None
    requests_waiting: float | None = None
    tokens_per_sec: float | None = None  # generated, since the look before
    kv_cache_pct: float | None = None
    gpus: GpusReading | None = None
    host: HostReading | None = None
    host_at: float | None = None  # epoch seconds, where it was read before this look
    power_profile: str | None = None
    jobs: tuple[JobQueue, ...] = ()
    problems: tuple[str, ...] = ()
    answered_at: float | None = None  # epoch seconds: when it answered last
