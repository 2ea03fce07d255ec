"""The views as Prometheus metrics: base units, conventional names, and nothing for the unknown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import get_args

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.views.models import EvalStatus, LiveStatus, MachineStatus, PreviewStatus, SystemStatus
from app.watch.monitor import Monitor
from collectors.files.training import RunStatus
from collectors.machines.gpu.reading import GPU_VALUES
from control_room.recording.metrics import METRICS

_PREFIX = "control_room_"
_GIB = 2**30
_LEVELS = ("healthy", "warning", "critical")

_Labels = Mapping[str, str]
_Sample = tuple[_Labels, float | None]


class ViewCollector(Collector):
    """Reads the newest views whenever Prometheus asks; nothing else is touched."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every metric that is known now."""
        return (family for family in self.describe() if family.samples)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Every metric that there may be; without samples where nothing of it is known."""
        views = self._monitor.views
        run = {"run": views.live.run_id}
        yield from _training(views.live, run)
        yield from _previews(views.preview, run)
        yield from _evals(views.evals, run)
        yield from _machines(views.system.machines)
        yield from _queues(views.system, run)
        yield from self._app()

    def _app(self) -> Iterator[GaugeMetricFamily]:
        now = self._monitor.views.live.timestamp.timestamp()
        sources = sorted(self._monitor.sources.items())
        yield from _gauge(
            "views_age_seconds", "How old the views are.", [({}, self._monitor.tick_age_s)]
        )
        yield from _gauge(
            "source_age_seconds",
            "How old the last reading of a source is.",
            [({"source": name}, sample.age_s(now)) for name, sample in sources],
        )
        yield from _gauge(
            "source_up",
            "Whether the last attempt to read a source worked.",
            [({"source": name}, float(sample.error is None)) for name, sample in sources],
        )


def _training(live: LiveStatus, run: _Labels) -> Iterator[GaugeMetricFamily]:
    for name, about, value in (
        ("training_step", "Optimisation step.", live.current_step),
        ("training_target_steps", "Steps that the run is to make.", live.total_steps),
        *((m.prometheus, m.meaning, getattr(live, m.name)) for m in METRICS if m.prometheus),
        ("training_eta_seconds", "Time to the end of the run.", live.eta_overall_s),
        ("training_silence_seconds", "Time since the trainer wrote.", live.liveness.silent_s),
    ):
        yield from _gauge(name, about, [(run, value)])
    yield from _gauge(
        "training_status",
        "1 for the state that the run is in.",
        [({**run, "status": each}, _is(each, live.status)) for each in get_args(RunStatus)],
    )
    yield from _gauge(
        "health",
        "1 for the level that the run's health is at.",
        [({**run, "level": each}, _is(each, live.health)) for each in _LEVELS],
    )


def _previews(preview: PreviewStatus, run: _Labels) -> Iterator[GaugeMetricFamily]:
    yield from _gauge(
        "preview_exact_match_ratio",
        "Exact match over the newest scored previews.",
        [
            ({**run, "window": "20"}, preview.preview_em_last_20),
            ({**run, "window": "50"}, preview.preview_em_last_50),
            ({**run, "window": "100"}, preview.preview_em_last_100),
        ],
    )
    for group, stats in (
        ("regime", preview.regime_stats),
        ("source", preview.source_stats),
        ("pattern", preview.domain_stats),
    ):
        yield from _gauge(
            f"preview_{group}_exact_match_ratio",
            f"Exact match by {group}, over the newest 100 scored previews.",
            [({**run, group: name}, rate.em) for name, rate in stats.items()],
        )
    yield from _gauge(
        "preview_age_seconds", "How old the newest preview is.", [(run, preview.age_s)]
    )


def _evals(evals: EvalStatus, run: _Labels) -> Iterator[GaugeMetricFamily]:
    for name, about, value in (
        ("eval_exact_match_ratio", "Exact match of the fixed set.", evals.fixed_eval_em),
        ("eval_cross_entropy", "Cross-entropy of the fixed set.", evals.fixed_eval_ce),
        (
            "eval_calibration_error_ratio",
            "Expected calibration error of the fixed set.",
            evals.fixed_eval_ece,
        ),
        ("eval_step", "Step of the newest fixed evaluation.", evals.fixed_eval_step),
        ("eval_micro_loss", "Loss of the newest micro-evaluation.", evals.micro_eval_loss),
    ):
        yield from _gauge(name, about, [(run, value)])
    yield from _gauge(
        "eval_domain_exact_match_ratio",
        "Exact match of the fixed set by domain.",
        [({**run, "domain": name}, domain.em) for name, domain in evals.domain_evals.items()],
    )


def _machines(machines: Iterable[MachineStatus]) -> Iterator[GaugeMetricFamily]:
    hosts = [({"machine": machine.name, "role": machine.role}, machine) for machine in machines]
    gpus = [
        ({"machine": m.name, "gpu": str(gpu.index), "name": gpu.name}, gpu)
        for _, m in hosts
        for gpu in m.gpus
    ]
    yield from _gauge(
        "machine_up", "Whether the machine answers.", [(at, float(m.online)) for at, m in hosts]
    )
    for name, about, values in (
        ("host_cpu_utilization_ratio", "CPU in use.", [_ratio(m.cpu_pct) for _, m in hosts]),
        ("host_load1", "Load average of a minute.", [m.load_1m for _, m in hosts]),
        ("host_memory_used_bytes", "Memory in use.", [_bytes(m.ram_used_gb) for _, m in hosts]),
        ("host_memory_total_bytes", "Memory.", [_bytes(m.ram_total_gb) for _, m in hosts]),
        ("host_swap_used_bytes", "Swap in use.", [_bytes(m.swap_used_gb) for _, m in hosts]),
        ("host_swap_total_bytes", "Swap.", [_bytes(m.swap_total_gb) for _, m in hosts]),
        (
            "host_disk_used_bytes",
            "Disk in use, where the run is.",
            [_bytes(m.disk_used_gb) for _, m in hosts],
        ),
        ("host_disk_total_bytes", "Disk.", [_bytes(m.disk_total_gb) for _, m in hosts]),
    ):
        labels = [at for at, _ in hosts]
        yield from _gauge(name, about, list(zip(labels, values, strict=True)))
    for value in GPU_VALUES:
        if value.prometheus is not None:
            scaled = _SCALED.get(value.unit, float)
            told = [(at, getattr(gpu, value.name)) for at, gpu in gpus]
            known = [(at, scaled(number)) for at, number in told if number is not None]
            yield from _gauge(value.prometheus, value.meaning, known)


def _queues(system: SystemStatus, run: _Labels) -> Iterator[GaugeMetricFamily]:
    queues = system.queues
    yield from _gauge(
        "queue_files",
        "Data files that wait to be trained on.",
        [
            ({**run, "priority": "high"}, queues.training_queue_high),
            ({**run, "priority": "normal"}, queues.training_queue_normal),
            ({**run, "priority": "low"}, queues.training_queue_low),
        ],
    )
    yield from _gauge(
        "queue_jobs",
        "Jobs that wait for the inference machine.",
        [
            ({**run, "kind": "preview"}, queues.preview_jobs_pending),
            ({**run, "kind": "eval"}, queues.eval_jobs_pending),
            ({**run, "kind": "data_generation"}, queues.data_gen_jobs_pending),
        ],
    )


def _gauge(name: str, about: str, samples: Iterable[_Sample]) -> Iterator[GaugeMetricFamily]:
    """The metric with what is known of it."""
    known = [(labels, value) for labels, value in samples if value is not None]
    labels = list(known[0][0]) if known else []
    family = GaugeMetricFamily(_PREFIX + name, about, labels=labels)
    for values, value in known:
        family.add_metric(list(values.values()), float(value))
    yield family


def _is(state: str, reported: str | None) -> float | None:
    return None if reported is None else float(state == reported)


def _ratio(pct: float | None) -> float | None:
    return None if pct is None or not math.isfinite(pct) else pct / 100


def _bytes(gb: float | None) -> float | None:
    return None if gb is None else gb * _GIB


_SCALED: Mapping[str, Callable[[float], float | None]] = {"%": _ratio, "GB": _bytes}
