"""The sampler: every source at its own pace; one that hangs or raises delays nobody else."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from collectors.sampler import Sample, Sampler, Source


def wait_until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        pause.wait(0.005)


@contextmanager
def running(sampler: Sampler) -> Iterator[Sampler]:
    sampler.start()
    try:
        yield sampler
    finally:
        sampler.stop()


def counting() -> Callable[[], int]:
    values = iter(range(10**9))
    return lambda: next(values)


def test_readings_arrive_again_and_again_with_their_time() -> None:
    before = time.time()
    with running(Sampler([Source("count", 0.01, counting())])) as sampler:
        wait_until(lambda: (sampler.samples()["count"].reading or 0) >= 3)
        sample = sampler.samples()["count"]
    assert sample.error is None
    assert sample.read_at is not None
    assert sample.read_at >= before
    assert (sample.age_s(sample.read_at + 5)) == pytest.approx(5)


def test_a_source_that_raises_keeps_its_last_reading_and_tells_the_error() -> None:
    broken = threading.Event()

    def read() -> str:
        if broken.is_set():
            raise OSError("the cable is out")
        return "fine"

    with running(Sampler([Source("cable", 0.01, read)])) as sampler:
        wait_until(lambda: sampler.samples()["cable"].reading == "fine")
        broken.set()
        wait_until(lambda: sampler.samples()["cable"].error is not None)
        sample = sampler.samples()["cable"]
        assert sample.reading == "fine"
        assert sample.error == "an error of the kind OSError (the app's log says more)"
        broken.clear()
        wait_until(lambda: sampler.samples()["cable"].error is None)


def test_a_source_that_hangs_delays_nobody_and_is_asked_only_once() -> None:
    release = threading.Event()
    calls: list[int] = []

    def hang() -> None:
        calls.append(1)
        release.wait()

    sampler = Sampler([Source("hung", 0.01, hang), Source("count", 0.01, counting())])
    try:
        with running(sampler):
            wait_until(lambda: (sampler.samples()["count"].reading or 0) >= 20)
            hung = sampler.samples()["hung"]
            assert len(calls) == 1
            assert hung.asked_at is not None
            assert hung.trouble(hung.asked_at + 9, patience_s=5) == "no answer for 9 s"
            assert hung.trouble(hung.asked_at + 1, patience_s=5) is None
    finally:
        release.set()


def test_a_slow_source_is_not_asked_to_catch_up() -> None:
    started: list[float] = []
    pause = threading.Event()

    def slow() -> None:
        started.append(time.monotonic())
        if len(started) == 1:
            pause.wait(0.3)

    with running(Sampler([Source("slow", 0.1, slow)])):
        wait_until(lambda: len(started) >= 4)
    gaps = [b - a for a, b in itertools.pairwise(started[1:])]
    assert all(gap > 0.05 for gap in gaps)


def test_sources_are_closed_when_sampling_stops() -> None:
    closed = threading.Event()
    with running(Sampler([Source("a", 0.01, counting(), closed.set)])) as sampler:
        wait_until(lambda: sampler.samples()["a"].reading is not None)
        assert sampler.alive()
    assert closed.wait(5)
    wait_until(lambda: not sampler.alive())


def test_two_sources_cannot_share_a_name() -> None:
    with pytest.raises(ValueError, match="share a name"):
        Sampler([Source("a", 1, counting()), Source("a", 1, counting())])


def test_an_empty_sample_has_no_age() -> None:
    assert Sample[int]().age_s(0) is None
