"""Runs collectors on their own intervals in the background and keeps the latest reading of each.

Every source has a thread of its own: one that hangs or raises delays nobody else, and is never
asked again while an earlier call is still out.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from control_room.error_words import words_for

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Source(Generic[T]):
    """Something to sample: ``read`` is called every ``interval_s`` seconds."""

    name: str
    interval_s: float
    read: Callable[[], T]
    close: Callable[[], None] | None = None  # called once after the last read
    patience_s: float = 60.0  # a call that is out for longer hangs
    progressed_at: Callable[[], float] | None = None  # epoch seconds: the last step of a long call


@dataclass(frozen=True)
class Sample(Generic[T]):
    """The latest a source told. Times are epoch seconds."""

    reading: T | None = None  # the newest that succeeded
    read_at: float | None = None  # when it did
    error: str | None = None  # why the newest attempt failed; None when it succeeded
    asked_at: float | None = None  # when the call that is out began; None between calls
    failing_since: float | None = None  # when the first of the failures in a row was seen

    def age_s(self, now: float) -> float | None:
        """Seconds since the reading was taken; None when there is none."""
        return None if self.read_at is None else max(0.0, now - self.read_at)

    def trouble(self, now: float, *, patience_s: float) -> str | None:
        """Why this source's reading should not be taken as live, for a person; else None."""
        if self.asked_at is not None and now - self.asked_at > patience_s:
            return f"no answer for {now - self.asked_at:.0f} s"
        return self.error


class Sampler:
    """Samples every source from :meth:`start` until :meth:`stop`.

    ``on_sample`` is called, in the source's thread, with its name after each attempt.
    """

    def __init__(
        self,
        sources: Sequence[Source[Any]],
        *,
        on_sample: Callable[[str], None] = lambda name: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        names = [source.name for source in sources]
        if len(set(names)) != len(names):
            raise ValueError(f"two sources share a name: {names}")
        self._sources = tuple(sources)
        self._on_sample = on_sample
        self._clock = clock
        self._samples: dict[str, Sample[Any]] = {name: Sample() for name in names}
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin sampling; the first reading of every source is asked for at once."""
        for source in self._sources:
            # A daemon: a driver that hangs in the kernel must not keep the process from ending.
            thread = threading.Thread(
                target=self._run, args=(source,), name=f"sample-{source.name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Stop sampling and close the sources; a source that hangs is left behind."""
        self._stopping.set()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def samples(self) -> Mapping[str, Sample[Any]]:
        """The latest sample of every source, by name."""
        return dict(self._samples)

    def hanging(self) -> Mapping[str, float]:
        """For how many seconds the sources that hang have done so, by name."""
        now, found = self._clock(), {}
        for source in self._sources:
            since = self._samples[source.name].asked_at
            if since is not None and source.progressed_at is not None:
                since = max(since, source.progressed_at())
            if since is not None and now - since > source.patience_s:
                found[source.name] = now - since
        return found

    def alive(self) -> bool:
        """Whether every source's thread is running."""
        return bool(self._threads) and all(thread.is_alive() for thread in self._threads)

    def _run(self, source: Source[Any]) -> None:
        next_at = time.monotonic()
        while not self._stopping.is_set():
            self._take(source)
            # Keep to the grid, but never try to catch up on what a slow call missed.
            next_at = max(next_at + source.interval_s, time.monotonic())
            self._stopping.wait(next_at - time.monotonic())
        if source.close is not None:
            source.close()

    def _take(self, source: Source[Any]) -> None:
        before = self._samples[source.name]
        self._samples[source.name] = replace(before, asked_at=self._clock())
        try:
            reading = source.read()
        except Exception as error:
            # The boundary between sources: whatever one raises becomes its reading's error.
            message = f"{words_for(error)} (the app's log says more)"
            if message != before.error:
                log.exception("source %s failed", source.name)
            since = before.failing_since or self._clock()
            self._samples[source.name] = replace(
                before, error=message, asked_at=None, failing_since=since
            )
        else:
            self._samples[source.name] = Sample(reading=reading, read_at=self._clock())
        self._on_sample(source.name)
