"""Machines as the views tell them, however each is reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.settings import Machine, Settings
from app.views.health import NOT_READ_YET, gpu_level, usage_level
from app.views.models import (
    GpuProcessStatus,
    GpuStatus,
    GpuSummary,
    HostSummary,
    MachineStatus,
    MigInstanceStatus,
    RamStatus,
    ServerStatus,
)
from collectors.machines.gpu.reading import GpuReading, GpusReading
from collectors.machines.host import HostReading
from collectors.machines.server_reading import ServerReading
from collectors.machines.ssh_reading import SshReading
from collectors.sampler import Sample

# A source that is asked and does not answer for this many of its intervals (at least
# MIN_PATIENCE_S) is said to be silent.
PATIENCE_INTERVALS = 5
MIN_PATIENCE_S = 5.0
MOST_PROCESSES = 20  # of one GPU in a view; the biggest
NO_GPU_TOLD = "How it is reached tells nothing of GPUs. Add ssh = {...} to this machine's settings."


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSamples:
    """The latest samples of one machine, by how it is reached; None where it is not so reached."""

    gpu: Sample[GpusReading] | None = None
    host: Sample[HostReading] | None = None
    ssh: Sample[SshReading] | None = None
    server: Sample[ServerReading] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What is known of a machine, whoever told it. Ages are in seconds."""

    gpus: GpusReading | None = None
    gpu_age_s: float | None = None
    host: HostReading | None = None
    host_age_s: float | None = None
    online: bool = False
    message: str | None = None  # why it is not
    last_seen_s: float | None = None


def machine_views(
    samples: Mapping[str, MachineSamples], settings: Settings, now: float
) -> tuple[MachineStatus, ...]:
    """Every machine of the settings, in their order."""
    return tuple(
        _machine(machine, samples.get(machine.name, MachineSamples()), settings, now)
        for machine in settings.watched_machines
    )


def troubles_of(sample: Sample[Any], interval_s: float, what: str, now: float) -> tuple[str, ...]:
    """Why a source's reading should not be taken as live, named; nothing when it should."""
    patience_s = max(MIN_PATIENCE_S, PATIENCE_INTERVALS * interval_s)
    trouble = sample.trouble(now, patience_s=patience_s)
    return () if trouble is None else (f"{what}: {trouble}",)


def pct(used: float | None, total: float | None) -> float | None:
    """0-100; None where either is unknown."""
    if used is None or not total:
        return None
    return 100 * used / total


def gpu_summary(machines: Sequence[MachineStatus], role: str) -> GpuSummary:
    """The first GPU of the first machine of this role."""
    machine = _first(machines, role)
    if machine is None:
        return GpuSummary()
    common: dict[str, Any] = {"online": machine.online, "power_profile": machine.power_profile}
    if machine.gpus:
        gpu = machine.gpus[0]
        common |= {n: getattr(gpu, n) for n in GpuSummary.model_fields if hasattr(gpu, n)}
    return GpuSummary(**common)


def host_summary(machines: Sequence[MachineStatus], role: str) -> HostSummary:
    """The host of the first machine of this role."""
    machine = _first(machines, role)
    if machine is None:
        return HostSummary()
    same = {n: getattr(machine, n) for n in HostSummary.model_fields if hasattr(machine, n)}
    return HostSummary(ram_gb=machine.ram_used_gb, **same)


def ram_of(machines: Sequence[MachineStatus]) -> RamStatus:
    """The memory of the first training machine."""
    machine = _first(machines, "training")
    if machine is None:
        return RamStatus()
    return RamStatus(
        used_gb=machine.ram_used_gb, total_gb=machine.ram_total_gb, pct=machine.ram_pct
    )


def _first(machines: Sequence[MachineStatus], role: str) -> MachineStatus | None:
    return next((machine for machine in machines if machine.role == role), None)


def _machine(
    machine: Machine, samples: MachineSamples, settings: Settings, now: float
) -> MachineStatus:
    looks = [
        look
        for look in (
            _local(samples, now),
            _remote("SSH", samples.ssh, now),
            _remote("HTTP", samples.server, now),
        )
        if look is not None
    ]
    # The first that knows counts: SSH tells more than a server does.
    gpu_look = next((look for look in looks if look.gpus is not None), _Look())
    host_look = next((look for look in looks if look.host is not None), _Look())
    online = any(look.online for look in looks)
    gpus = gpu_look.gpus
    messages = [look.message for look in looks if look.message is not None]
    seen = [look.last_seen_s for look in looks if look.last_seen_s is not None]
    server = None if samples.server is None else samples.server.reading
    no_gpu = NO_GPU_TOLD if gpus is None and online and not messages else None
    return MachineStatus(
        name=machine.name,
        role=machine.role,
        reached_by=_ways(machine),
        online=online,
        message=None if online else ("; ".join(messages) or NOT_READ_YET),
        last_seen_s=min(seen, default=None),
        gpus=tuple(_gpu(gpu, settings) for gpu in gpus.gpus) if gpus else (),
        gpu_message=no_gpu if gpus is None else gpus.message,
        gpu_age_s=gpu_look.gpu_age_s,
        power_profile=None if server is None else server.power_profile,
        server=_server(machine, samples.server, now),
        host_age_s=host_look.host_age_s,
        problems=(
            *(messages if online else ()),
            *(server.problems if server is not None else ()),
            *_troubles(samples, settings, now),
            *_host_problem(host_look.host),
        ),
        **_host(host_look.host, settings),
    )


def _ways(machine: Machine) -> tuple[Literal["local", "ssh", "http"], ...]:
    ways: list[Literal["local", "ssh", "http"]] = []
    if machine.local:
        ways.append("local")
    if machine.ssh is not None:
        ways.append("ssh")
    if machine.http is not None:
        ways.append("http")
    return tuple(ways)


def _local(samples: MachineSamples, now: float) -> _Look | None:
    if samples.gpu is None or samples.host is None:
        return None
    ages = (samples.gpu.age_s(now), samples.host.age_s(now))
    return _Look(
        gpus=samples.gpu.reading,
        gpu_age_s=ages[0],
        host=samples.host.reading,
        host_age_s=ages[1],
        online=True,
        last_seen_s=0.0,
    )


def _remote(
    way: str, sample: Sample[SshReading] | Sample[ServerReading] | None, now: float
) -> _Look | None:
    if sample is None:
        return None
    reading: SshReading | ServerReading | None = sample.reading
    if reading is None:
        return _Look(message=sample.error)
    age_s = None if reading.answered_at is None else max(0.0, now - reading.answered_at)
    host_at = reading.host_at if isinstance(reading, ServerReading) else None
    return _Look(
        gpus=reading.gpus,
        gpu_age_s=age_s,
        host=reading.host,
        host_age_s=age_s if host_at is None else max(0.0, now - host_at),
        online=reading.state == "ok",
        message=None if reading.message is None else f"{way}: {reading.message}",
        last_seen_s=age_s,
    )


def _troubles(samples: MachineSamples, settings: Settings, now: float) -> tuple[str, ...]:
    intervals = settings.intervals
    found: tuple[str, ...] = ()
    for sample, interval_s, what in (
        (samples.gpu, intervals.gpu_s, "GPU"),
        (samples.host, intervals.host_s, "host"),
        (samples.ssh, intervals.machines_s + intervals.machine_timeout_s, "SSH"),
        (samples.server, intervals.machines_s + intervals.machine_timeout_s, "HTTP"),
    ):
        if sample is not None:
            found += troubles_of(sample, interval_s, what, now)
    return found


def _host_problem(host: HostReading | None) -> tuple[str, ...]:
    return (host.problem,) if host is not None and host.problem else ()


def _host(host: HostReading | None, settings: Settings) -> dict[str, Any]:
    if host is None:
        return {}
    ram_pct = pct(host.ram_used_gb, host.ram_total_gb)
    disk_pct = pct(host.disk_used_gb, host.disk_total_gb)
    return {
        "cpu_pct": host.cpu_pct,
        "cpu_count": host.cpu_count,
        "load_1m": host.load_1m,
        "ram_used_gb": host.ram_used_gb,
        "ram_total_gb": host.ram_total_gb,
        "ram_pct": ram_pct,
        "ram_level": usage_level(ram_pct, settings.thresholds.ram_warning_pct),
        "swap_used_gb": host.swap_used_gb,
        "swap_total_gb": host.swap_total_gb,
        "disk_path": str(host.disk_path),
        "disk_used_gb": host.disk_used_gb,
        "disk_total_gb": host.disk_total_gb,
        "disk_pct": disk_pct,
        "disk_level": usage_level(disk_pct, settings.thresholds.disk_warning_pct),
        "uptime_s": host.uptime_s,
    }


def _server(
    machine: Machine, sample: Sample[ServerReading] | None, now: float
) -> ServerStatus | None:
    if machine.http is None or sample is None:
        return None
    reading = sample.reading
    if reading is None:
        return ServerStatus(url=str(machine.http.url), online=False, message=sample.error)
    return ServerStatus(
        url=str(machine.http.url),
        online=reading.state == "ok",
        message=reading.message,
        api=reading.api,
        server=reading.server,
        active_model=reading.active_model,
        requests_running=reading.requests_running,
        requests_waiting=reading.requests_waiting,
        tokens_per_sec=reading.tokens_per_sec,
        kv_cache_pct=reading.kv_cache_pct,
        age_s=None if reading.answered_at is None else max(0.0, now - reading.answered_at),
    )


# Fields that mean the same and are called the same in the reading and in the view.
_SAME_IN_BOTH = tuple(
    name
    for name in GpuStatus.model_fields
    if name in GpuReading.__dataclass_fields__
    and name not in ("mig_instances", "processes", "notes")
)


def _gpu(gpu: GpuReading, settings: Settings) -> GpuStatus:
    processes = None if gpu.processes is None else gpu.processes[:MOST_PROCESSES]
    return GpuStatus(
        **{name: getattr(gpu, name) for name in _SAME_IN_BOTH},
        temp_limit_c=gpu.temp_slowdown_c,
        vram_pct=pct(gpu.vram_used_gb, gpu.vram_total_gb),
        mig_instances=tuple(
            MigInstanceStatus(
                uuid=part.uuid,
                name=part.name,
                vram_used_gb=part.vram_used_gb,
                vram_total_gb=part.vram_total_gb,
            )
            for part in gpu.mig_instances
        ),
        processes=None
        if processes is None
        else tuple(
            GpuProcessStatus(pid=each.pid, name=each.name, vram_used_gb=each.vram_used_gb)
            for each in processes
        ),
        level=gpu_level(gpu, settings.thresholds),
        notes=dict(gpu.notes),
    )
