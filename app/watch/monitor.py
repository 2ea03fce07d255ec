"""The Monitor: one sampler and the newest views, shared by every viewer and every request."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from app.settings import Settings
from app.views.build import Samples, assemble
from app.views.models import Views
from app.views.ready import Ready, new_boot_id, ready_views
from app.watch.machine_history import MachineHistory
from app.watch.run_history import RunHistory
from app.watch.sources import (
    OF_MAIN_RUN,
    machine_sources,
    retention_sources,
    run_sources,
    samples_of,
)
from collectors.sampler import Sample, Sampler
from control_room.logs.patterns import PatternRules

log = logging.getLogger(__name__)

# Ages on the page move even when nothing else does.
MAX_TICK_S = 1.0


class Monitor:
    """Watches one run from :meth:`start` until :meth:`stop`; viewers only read :attr:`views`."""

    def __init__(self, settings: Settings, *, machines_of: Monitor | None = None) -> None:
        """``machines_of`` samples the machines, and keeps their history, for this one too."""
        self.settings = settings
        self._machines_of = machines_of
        rules = PatternRules([pattern.rule() for pattern in settings.history.patterns])
        self.history = RunHistory(
            settings.run,
            memory_limit_mb=settings.history.memory_limit_mb,
            rules=rules,
            sql=settings.history.sql_limits(),
        )
        run = settings.run
        own = run_sources(settings, rules, self.history)
        if machines_of is None:
            self.machine_history = MachineHistory(run.cache, ready=run.has_logs, inside=run.inside)
            own += machine_sources(settings, self.machine_history, self._samples)
            # Of the run the app was started for alone: others may only be looked at.
            own += retention_sources(settings)
        else:
            self.machine_history = machines_of.machine_history
        self._sampler = Sampler(own, on_sample=self._sampled)
        self._new_sample = threading.Event()
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._boot_id = new_boot_id()
        self._views = assemble(Samples(), settings, now=time.time(), version=0)
        self._ready = ready_views(self._views, self._boot_id)
        self._ticked_at = time.monotonic()
        self._thread = threading.Thread(target=self._build, name="build-views", daemon=True)

    @property
    def views(self) -> Views:
        """The newest views; the same object for everybody until the next tick."""
        return self._views

    @property
    def ready(self) -> Mapping[str, Ready]:
        """The status views as they go over the wire, by name; of the same tick as :attr:`views`."""
        return self._ready

    @property
    def tick_age_s(self) -> float:
        """How long ago the views were built."""
        return time.monotonic() - self._ticked_at

    @property
    def sources(self) -> Mapping[str, Sample[Any]]:
        """The latest sample of every source, by its name."""
        own = self._sampler.samples()
        if self._machines_of is None:
            return own
        shared = self._machines_of.sources.items()
        return {name: sample for name, sample in shared if name not in OF_MAIN_RUN} | dict(own)

    def start(self) -> None:
        """Begin sampling and building views."""
        self._sampler.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop sampling; :attr:`views` stays what it was."""
        self._stopping.set()
        self._new_sample.set()
        self._sampler.stop()
        self._thread.join(timeout=2.0)

    def hanging(self) -> Mapping[str, float]:
        """For how many seconds the sources that hang have done so, by name."""
        own = self._sampler.hanging()
        return own if self._machines_of is None else {**self._machines_of.hanging(), **own}

    def alive(self) -> bool:
        """Whether sampling and building go on."""
        return self._sampler.alive() and self._thread.is_alive()

    def wait_for(self, version: int, timeout_s: float) -> bool:
        """Wait until the views are at least at ``version``; False when that took too long."""
        with self._changed:
            return self._changed.wait_for(lambda: self._views.version >= version, timeout_s)

    def _sampled(self, name: str) -> None:
        # Only what a person waits for is drawn at once; the rest comes with the next tick.
        if name in ("training", "previews"):
            self._new_sample.set()

    def _build(self) -> None:
        while not self._stopping.is_set():
            self._new_sample.wait(MAX_TICK_S)
            self._new_sample.clear()
            try:
                self._tick()
            except Exception:
                # A reading that no view can hold must not stop the views of later readings.
                log.exception("the views of this tick could not be built")

    def _samples(self) -> Samples:
        return samples_of(self.sources, self.settings)

    def _tick(self) -> None:
        views = assemble(
            self._samples(), self.settings, now=time.time(), version=self._views.version + 1
        )
        ready = ready_views(views, self._boot_id)
        with self._changed:
            self._views, self._ready, self._ticked_at = views, ready, time.monotonic()
            self._changed.notify_all()
