"""What is sampled, and how often: a source for each file, driver and machine of the settings."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from app.settings import Machine, Settings
from app.views.build import Samples
from app.views.build_jobs import job_queues
from app.views.build_machines import MachineSamples, machine_views
from app.views.readings import QueueTrends
from app.watch.machine_history import MachineHistory
from app.watch.retention import EVERY_S, retain
from app.watch.run_history import RunHistory
from collectors.files.evals import EvalWatch
from collectors.files.links import LinkWatch
from collectors.files.notes import NoteWatch
from collectors.files.preview_runner import RunnerWatch
from collectors.files.previews import PreviewWatch
from collectors.files.queues import read_queues
from collectors.files.snapshots import SnapshotWatch
from collectors.files.training import LivenessPolicy, TrainingWatch
from collectors.machines.gpu.local import NvmlSession
from collectors.machines.host import HostWatch
from collectors.sampler import Sample, Source
from control_room.logs.patterns import PatternRules

TAKEN_EVERY_S = 5.0  # into the means of a minute
ONE_FILE_S = 300.0  # at most, to take one file of the logs into the history
_WEBSOCKET = "streamlit.web.server.starlette.starlette_websocket"
LEAST_PATIENCE_S = 60.0
MOST_STEPS = 12  # on the way to a machine's reading, each with its own time limit
GPU, HOST = "gpu", "host"  # of this machine
HISTORY = "history"
# Of the run that the app was started for, and of no other that is looked at beside it.
OF_MAIN_RUN = ("retention", "machine_history")


def ssh_source(machine: Machine) -> str:
    """The name of the source that looks at a machine over SSH."""
    return f"ssh {machine.name}"


def http_source(machine: Machine) -> str:
    """The name of the source that looks at a machine's inference server."""
    return f"http {machine.name}"


def hush_libraries() -> None:
    """What fails on the way to a machine is in its reading: it need not be logged each time.

    Nor need it what a stranger sends over a page's websocket, with where it failed to be read.
    """
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # Streamlit sets the levels of its loggers itself, when it starts.
    logging.getLogger(_WEBSOCKET).addFilter(_is_error)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


def samples_of(samples: Mapping[str, Sample[Any]], settings: Settings) -> Samples:
    """The sampler's samples, by what they are of."""
    machines = {
        machine.name: MachineSamples(
            gpu=samples[GPU] if machine.local else None,
            host=samples[HOST] if machine.local else None,
            ssh=samples.get(ssh_source(machine)),
            server=samples.get(http_source(machine)),
        )
        for machine in settings.watched_machines
    }
    of_run = {name: samples[name] for name in Samples.__dataclass_fields__ if name in samples}
    return Samples(machines=machines, **of_run)


def run_sources(settings: Settings, rules: PatternRules, history: RunHistory) -> list[Source[Any]]:
    """What is told by the files of the run. Making them asks nothing yet."""
    run = settings.run
    intervals, liveness, thresholds = settings.intervals, settings.liveness, settings.thresholds
    training = TrainingWatch(
        run,
        LivenessPolicy(
            slowest_interval_factor=liveness.slowest_interval_factor,
            min_s=liveness.min_s,
            saving_s=liveness.saving_s,
            evaluating_s=liveness.evaluating_s,
            previewing_s=liveness.previewing_s,
        ),
        degraded_ratio=thresholds.throughput_degraded_ratio,
        excellent_ratio=thresholds.throughput_excellent_ratio,
    )
    previews = PreviewWatch(run, rules)
    evals, snapshots = EvalWatch(run), SnapshotWatch(run)
    return [
        Source("training", intervals.training_s, lambda: training.read(time.time())),
        Source("previews", intervals.previews_s, previews.read),
        Source("queues", intervals.queues_s, lambda: read_queues(run)),
        Source("evals", intervals.evals_s, evals.read),
        Source("snapshots", intervals.evals_s, snapshots.read),
        Source("notes", intervals.evals_s, NoteWatch(run).read),
        Source("runner", intervals.runner_s, RunnerWatch(run).read),
        Source("links", intervals.queues_s, LinkWatch(run).read),
        Source(
            HISTORY,
            settings.history.refresh_s,
            history.refresh,
            history.close,
            patience_s=ONE_FILE_S,
            progressed_at=history.progressed_at,
        ),
    ]


def retention_sources(settings: Settings) -> list[Source[Any]]:
    """What looks after the run's old days, where that is switched on."""
    if not settings.retention.enabled:
        return []
    return [Source("retention", EVERY_S, lambda: retain(settings), patience_s=EVERY_S)]


def machine_sources(
    settings: Settings, history: MachineHistory, samples: Callable[[], Samples]
) -> list[Source[Any]]:
    """What the machines tell, and their history, which is made of the newest ``samples``."""

    def take() -> QueueTrends:
        newest = samples()
        machines = machine_views(newest.machines, settings, time.time())
        queues = job_queues(
            newest.queues.reading,
            newest.machines,
            newest.runner.reading,
            newest.training.reading,
        )
        return history.take(machines, queues)

    return [
        Source("machine_history", TAKEN_EVERY_S, take, history.close),
        *(each for machine in settings.watched_machines for each in _machine(machine, settings)),
    ]


def _machine(machine: Machine, settings: Settings) -> list[Source[Any]]:
    intervals = settings.intervals
    found: list[Source[Any]] = []
    if machine.local:
        nvml, host = NvmlSession(), HostWatch(settings.run_dir)
        found += [
            Source(GPU, intervals.gpu_s, nvml.read, nvml.close),
            Source(HOST, intervals.host_s, host.read),
        ]
    if machine.ssh is not None:
        found.append(_over_ssh(machine, settings))
    if machine.http is not None:
        found.append(_over_http(machine, settings))
    return found


def _over_ssh(machine: Machine, settings: Settings) -> Source[Any]:
    from collectors.machines.ssh import SshWatch  # half a second of imports, for those who use it

    assert machine.ssh is not None
    intervals = settings.intervals
    watch = SshWatch(
        machine.ssh.target(intervals.machine_timeout_s),
        name=machine.name,
        disk=machine.ssh.disk,
        interval_s=intervals.machines_s,
    )
    patience_s = _patience_s(settings)
    return Source(ssh_source(machine), intervals.machines_s, watch.read, watch.close, patience_s)


def _over_http(machine: Machine, settings: Settings) -> Source[Any]:
    from collectors.machines.inference_server import ServerWatch  # as above

    assert machine.http is not None
    intervals = settings.intervals
    watch = ServerWatch(
        machine.http.url,
        name=machine.name,
        api=machine.http.api,
        key=machine.http.key,
        timeout_s=intervals.machine_timeout_s,
    )
    patience_s = _patience_s(settings)
    return Source(http_source(machine), intervals.machines_s, watch.read, watch.close, patience_s)


def _patience_s(settings: Settings) -> float:
    """What a machine that is slow, or gone, may take for a reading: it is no fault of the app's."""
    return max(LEAST_PATIENCE_S, MOST_STEPS * settings.intervals.machine_timeout_s)
