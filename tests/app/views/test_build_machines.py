"""Machines in the views, however they are reached, there or gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import Settings, load_settings
from app.views.build_jobs import job_queues, pending
from app.views.build_machines import MachineSamples, gpu_summary, host_summary, machine_views
from app.views.health import machine_issues
from app.views.models import MachineStatus
from collectors.files.queues import QueuesReading
from collectors.jobs import JobQueue
from collectors.machines.gpu.reading import GpuProcess, GpuReading, GpusReading
from collectors.machines.host import HostReading
from collectors.machines.server_reading import ServerReading
from collectors.machines.ssh_reading import SshReading
from collectors.sampler import Sample

NOW = 1_000_000.0
GPUS = GpusReading(
    state="ok",
    gpus=(
        GpuReading(
            uuid="GPU-a",
            index=0,
            name="RTX 3090",
            temp_c=92,
            temp_slowdown_c=93,
            vram_used_gb=8,
            vram_total_gb=24,
            processes=tuple(GpuProcess(pid=pid) for pid in range(30)),
        ),
    ),
)
HOST = HostReading(
    hostname="inference",
    cpu_count=8,
    cpu_pct=20,
    load_1m=1,
    ram_used_gb=16,
    ram_total_gb=64,
    swap_used_gb=0,
    swap_total_gb=0,
    disk_path=Path("/"),
    disk_used_gb=99,
    disk_total_gb=100,
    uptime_s=60,
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    box = {
        "name": "box",
        "role": "inference",
        "ssh": {"host": "box"},
        "http": {"url": "http://box"},
    }
    own = {"name": "own", "role": "training", "local": True}
    return load_settings({"run_dir": str(tmp_path), "machines": [own, box]})


def box(settings: Settings, **samples: object) -> MachineStatus:
    of_box = MachineSamples(**samples)  # type: ignore[arg-type]  # samples of their own kinds
    return machine_views({"box": of_box}, settings, NOW)[1]


def ssh(state: str = "ok", **more: object) -> Sample[SshReading]:
    reading = SshReading(state=state, **more)  # type: ignore[arg-type]  # as the tests say
    return Sample(reading=reading, read_at=NOW)


def server(state: str = "ok", **more: object) -> Sample[ServerReading]:
    reading = ServerReading(state=state, **more)  # type: ignore[arg-type]  # as the tests say
    return Sample(reading=reading, read_at=NOW)


def test_ssh_and_server_together_make_one_machine(settings: Settings) -> None:
    found = box(
        settings,
        ssh=ssh(host=HOST, gpus=GPUS, answered_at=NOW - 3),
        server=server(
            api="native", active_model="qwen", power_profile="quiet", gpus=None, answered_at=NOW - 1
        ),
    )
    assert (found.online, found.reached_by, found.message) == (True, ("ssh", "http"), None)
    assert (found.last_seen_s, found.gpu_age_s) == (1, 3)
    assert (found.ram_pct, found.disk_level) == (25, "critical")
    assert found.gpus[0].level == "warning"
    assert found.gpus[0].processes is not None and len(found.gpus[0].processes) == 20
    assert found.power_profile == "quiet"
    assert found.server is not None and found.server.active_model == "qwen"


def test_what_a_server_told_of_its_host_a_while_ago_is_that_old(settings: Settings) -> None:
    read = server(gpus=GPUS, host=HOST, host_at=NOW - 45, answered_at=NOW)
    found = box(settings, server=read)
    assert (found.gpu_age_s, found.host_age_s) == (0, 45)


def test_where_ssh_is_silent_the_server_still_tells(settings: Settings) -> None:
    found = box(
        settings,
        ssh=ssh("timeout", message="box does not answer", answered_at=NOW - 100),
        server=server(gpus=GPUS, host=HOST, answered_at=NOW),
    )
    assert found.online
    assert found.gpus and found.ram_total_gb == 64
    assert found.problems == ("SSH: box does not answer",)


def test_a_machine_that_is_gone_shows_no_old_values_and_says_since_when(
    settings: Settings,
) -> None:
    found = box(
        settings,
        ssh=ssh("unreachable", message="refused", answered_at=NOW - 65),
        server=server("timeout", message="late", answered_at=NOW - 70),
    )
    assert not found.online
    assert found.gpus == () and found.ram_pct is None
    assert found.last_seen_s == 65
    assert found.message == "SSH: refused; HTTP: late"
    assert machine_issues([found]) == [("warning", "box does not answer")]


def test_before_the_first_answer_nothing_is_wrong(settings: Settings) -> None:
    found = box(settings, ssh=Sample(), server=Sample())
    assert not found.online
    assert machine_issues([found]) == []


def test_a_source_that_broke_is_told(settings: Settings) -> None:
    found = box(settings, ssh=Sample(error="KeyError: 1"), server=Sample(error="TypeError: 2"))
    assert found.message == "KeyError: 1; TypeError: 2"


def test_old_names_are_the_first_of_their_role(settings: Settings) -> None:
    samples = {
        "box": MachineSamples(ssh=ssh(host=HOST, gpus=GPUS), server=server(power_profile="max"))
    }
    machines = machine_views(samples, settings, NOW)
    old = gpu_summary(machines, "inference")
    assert (old.online, old.temp_c, old.power_profile) == (True, 92, "max")
    assert host_summary(machines, "inference").ram_gb == 16
    assert not gpu_summary(machines, "training").online


def test_jobs_of_all_servers_and_the_runs_own_files() -> None:
    eval_jobs = JobQueue(kind="eval", pending=3, running=1, failed=0, last_latency_ms=9)
    servers = {name: MachineSamples(server=server(jobs=(eval_jobs,))) for name in ("box", "other")}
    directory = QueuesReading(
        high=1,
        normal=2,
        low=None,
        processing=1,
        failed=4,
        processing_files=(),
        next_files=(),
        pending_bytes=None,
        processing_bytes=None,
    )
    queues = job_queues(directory, servers)
    assert pending(queues, "eval") == 6
    assert pending(queues, "preview") is None
    training = next(queue for queue in queues if queue.kind == "training")
    assert (training.pending, training.running, training.failed) == (3, 1, 4)
    assert pending(queues, "training_low") is None
    assert [queue.machine for queue in queues[:2]] == ["box", "other"]
    assert job_queues(None, {}) == ()
