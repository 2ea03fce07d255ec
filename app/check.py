"""``python -m app check``: try everything that is configured once, and say what to mend."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from app.settings import Http, Machine, Settings, Ssh
from app.watch.sources import hush_libraries
from collectors.files.training import LivenessPolicy, TrainingWatch
from collectors.machines.gpu.local import NvmlSession
from collectors.machines.gpu.reading import GpusReading
from collectors.machines.host import HostReading, HostWatch
from control_room.error_words import words_for
from control_room.logs.day_parts import day_parts
from control_room.rundir import LOG_KINDS, LogKind, RunDir
from control_room.security.inside import LeadsOut

Verdict = Literal["ok", "note", "wrong"]
SIGNS: dict[Verdict, str] = {"ok": "✓", "note": "○", "wrong": "✕"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What trying one source brought."""

    source: str
    verdict: Verdict
    text: str

    def __str__(self) -> str:
        return f"{SIGNS[self.verdict]} {self.source}: {self.text}"


def check(settings: Settings, now: float) -> Iterator[Finding]:
    """Try every source, machines at the same time, and tell each as soon as it is known."""
    hush_libraries()
    machines = settings.watched_machines
    with ThreadPoolExecutor(max(1, len(machines)), thread_name_prefix="check") as pool:
        tried = [pool.submit(_machine, machine, settings) for machine in machines]
        yield from _run(settings, now)
        yield from _pages(settings)
        for each in tried:
            yield from each.result()


def _pages(settings: Settings) -> Iterator[Finding]:
    if settings.pages_dir is None:
        return
    from app.ui.page_files import page_files  # only now: it brings Streamlit along

    pages, problems = page_files(settings.pages_dir)
    for problem in problems:
        yield Finding("pages", "wrong", problem)
    own = [each.path.name for each in pages if each.path.parent == settings.pages_dir]
    if own:
        yield Finding("pages", "ok", f"{', '.join(own)} of {settings.pages_dir}")


def _run(settings: Settings, now: float) -> list[Finding]:
    run = settings.run
    left_out = [Finding("run's settings", "note", each) for each in settings.left_out]
    if not run.path.is_dir():
        text = f"{run.path} does not exist yet; a Recorder, or you, will make it"
        return [Finding("run directory", "note", text), *left_out]
    found = [_writable(run), *left_out]
    found += _training(run, now)
    found += [_log(run, kind) for kind in LOG_KINDS if kind != "refused"]
    refused = _log(run, "refused")
    if refused.verdict == "ok":  # none is as it should be, and no news
        found.append(Finding("refused records", "note", f"{refused.text}; each line says why"))
    return found


def _log(run: RunDir, kind: LogKind) -> Finding:
    try:
        days = len({part.day for part in day_parts(run, kind)})
    except OSError as error:
        why = error.strerror if isinstance(error, LeadsOut) else words_for(error)
        return Finding(f"{kind} log", "wrong", f"{run.logs(kind)} cannot be read: {why}")
    text = f"{days} days in {run.logs(kind)}" if days else f"nothing in {run.logs(kind)} yet"
    return Finding(f"{kind} log", "ok" if days else "note", text)


def _training(run: RunDir, now: float) -> list[Finding]:
    name = "training state"
    if not run.status_file.exists():
        return [Finding(name, "note", f"{run.status_file} is not there yet")]
    reading = TrainingWatch(run, LivenessPolicy()).read(now)
    if reading.problems:
        return [Finding(name, "wrong", problem) for problem in reading.problems]
    return [Finding(name, "ok", f"{reading.status or 'no state told'}, {reading.run_id}")]


def _writable(run: RunDir) -> Finding:
    place = run.cache if run.cache.exists() else run.path
    if os.access(place, os.W_OK):
        return Finding("run directory", "ok", str(run.path))
    return Finding(
        "run directory",
        "wrong",
        f"{place} cannot be written by this user: the history would be held in memory, and built "
        "anew at every start",
    )


def _machine(machine: Machine, settings: Settings) -> list[Finding]:
    found = []
    if machine.local:
        with NvmlSession() as nvml:
            found.append(_gpus(f"{machine.name}: GPU", nvml.read()))
        found.append(_host(f"{machine.name}: host", HostWatch(settings.run_dir).read()))
    if machine.ssh is not None:
        found += _ssh(machine, machine.ssh, settings)
    if machine.http is not None:
        found += _http(machine, machine.http, settings)
    return found


def _ssh(machine: Machine, ssh: Ssh, settings: Settings) -> list[Finding]:
    from collectors.machines.ssh import SshWatch  # half a second of imports, for those who use it

    name = f"{machine.name}: SSH"
    watch = SshWatch(
        ssh.target(settings.intervals.machine_timeout_s), name=machine.name, disk=ssh.disk
    )
    try:
        reading = watch.read()
    finally:
        watch.close()
    if reading.host is None or reading.gpus is None:
        return [Finding(name, "wrong", f"{reading.state}: {reading.message}")]
    return [
        Finding(name, "ok", f"{reading.host.hostname} answers"),
        _gpus(f"{machine.name}: GPU", reading.gpus),
        _host(f"{machine.name}: host", reading.host),
    ]


def _http(machine: Machine, http: Http, settings: Settings) -> list[Finding]:
    from collectors.machines.inference_server import ServerWatch  # as above

    name = f"{machine.name}: server"
    watch = ServerWatch(
        http.url,
        name=machine.name,
        api=http.api,
        key=http.key,
        timeout_s=settings.intervals.machine_timeout_s,
    )
    try:
        reading = watch.read()
    finally:
        watch.close()
    if reading.state != "ok":
        return [Finding(name, "wrong", f"{reading.state}: {reading.message}")]
    told = reading.server or ("the daemon trainer's" if reading.api == "native" else "OpenAI's API")
    found = [Finding(name, "ok", f"{told}, model {reading.active_model or 'none loaded'}")]
    return found + [Finding(name, "wrong", problem) for problem in reading.problems]


def _gpus(name: str, reading: GpusReading) -> Finding:
    if reading.state in ("no_library", "no_gpu"):
        return Finding(name, "note", reading.message or "none")
    if reading.state != "ok":
        return Finding(name, "wrong", reading.message or reading.state)
    unwell = [f"GPU {gpu.index} {gpu.problem}" for gpu in reading.gpus if gpu.problem]
    if unwell:
        return Finding(name, "wrong", "; ".join(unwell))
    return Finding(name, "ok", ", ".join(gpu.name for gpu in reading.gpus))


def _host(name: str, reading: HostReading) -> Finding:
    if reading.problem is not None:
        return Finding(name, "wrong", reading.problem)
    ram = "" if reading.ram_total_gb is None else f", {reading.ram_total_gb:.0f} GB RAM"
    return Finding(name, "ok", f"{reading.hostname}{ram}")
