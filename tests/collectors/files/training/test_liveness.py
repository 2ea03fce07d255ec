import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

from collectors.files.training.liveness import (
    LivenessPolicy,
    ProcessWatch,
    SignsOfLife,
    in_words,
    judge,
)
from collectors.files.training.status_file import Writer
from control_room.recording.closed_words import Phase
from tests.support import wait_until

POLICY = LivenessPolicy()


def signs_at(*times: float) -> SignsOfLife:
    signs = SignsOfLife(POLICY)
    for at in times:
        signs.saw(at)
    return signs


def test_a_run_may_be_silent_for_six_times_its_slowest_interval_and_at_least_90_s() -> None:
    assert POLICY.patience_s("training", None) == 90
    assert POLICY.patience_s("training", 2.0) == 90
    assert POLICY.patience_s(None, 20.0) == 120


@pytest.mark.parametrize(
    ("phase", "patience_s"), [("saving", 600), ("evaluating", 1800), ("previewing", 1800)]
)
def test_phases_that_take_long_have_patience_of_their_own(phase: Phase, patience_s: float) -> None:
    assert POLICY.patience_s(phase, 2.0) == patience_s
    assert POLICY.patience_s(phase, 1000.0) == 6000, "but never less than usual"


def test_silence_within_the_patience_is_life() -> None:
    liveness = judge("training", None, 1500, signs_at(0, 2, 4), POLICY, now=94)
    assert (liveness.state, liveness.silent_s, liveness.patience_s) == ("live", 90, 90)
    assert liveness.reason is None


def test_a_stall_says_how_long_what_was_last_seen_and_what_is_usual() -> None:
    liveness = judge("training", "saving", 1500, signs_at(0, 2, 4), POLICY, now=4 + 800)
    assert liveness.state == "stalled"
    assert liveness.reason == (
        "no write for 13 min 20 s; last: step 1500 while saving a checkpoint; "
        "slowest usual interval 2 s"
    )


def test_a_stall_before_the_first_step_names_the_status_file() -> None:
    reason = judge("training", None, None, signs_at(0), POLICY, now=100).reason
    assert reason == "no write for 1 min 40 s; last: the status file"


def test_a_paused_run_never_stalls_and_an_ended_one_has_ended() -> None:
    signs = signs_at(0)
    assert judge("paused", None, 1, signs, POLICY, now=1e6).state == "live"
    for status in ("completed", "crashed", "idle"):
        assert judge(status, None, 1, signs, POLICY, now=1e6).state == "ended"


def test_without_a_state_or_a_sign_nothing_is_known() -> None:
    assert judge(None, None, None, signs_at(0), POLICY, now=1).state == "unknown"
    assert judge("training", None, None, SignsOfLife(POLICY), POLICY, now=1).state == "unknown"


def test_a_clock_that_went_back_is_no_negative_silence() -> None:
    assert judge("training", None, 1, signs_at(100), POLICY, now=50).silent_s == 0


def test_the_slowest_interval_is_remembered_over_the_session() -> None:
    assert signs_at(0, 1, 31, 32, 33).slowest_interval_s == 30


def test_what_lies_between_two_sessions_is_no_interval() -> None:
    signs = signs_at(0, 1, 31)
    signs.restart()
    signs.saw(5000)
    assert signs.slowest_interval_s is None


def test_one_long_silence_teaches_nothing_but_a_second_one_does() -> None:
    signs = signs_at(0, 1, 2, 302)
    assert signs.slowest_interval_s == 1
    signs.saw(303)
    signs.saw(553)
    assert signs.slowest_interval_s == 250


def test_an_interrupted_interval_does_not_count() -> None:
    signs = signs_at(0, 1)
    signs.interrupt()
    signs.saw(60)
    signs.saw(62)
    assert signs.slowest_interval_s == 2


@pytest.mark.parametrize(
    ("duration_s", "words"),
    [
        (0.25, "0.2 s"),
        (2, "2 s"),
        (45.4, "45 s"),
        (200, "3 min 20 s"),
        (120, "2 min"),
        (7500, "2 h 5 min"),
        (3600 * 24 * 3, "3 d"),
    ],
)
def test_durations_are_told_in_words(duration_s: float, words: str) -> None:
    assert in_words(duration_s) == words


@pytest.fixture
def trainer() -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield started
    started.kill()
    started.wait()


def writer_of(trainer: subprocess.Popen[bytes]) -> Writer:
    return Writer("a-run", socket.gethostname(), trainer.pid, time.time())


def gone(watch: ProcessWatch, writer: Writer, *, silent_s: float, now: float) -> bool:
    return watch.is_gone(writer, silent_s=silent_s, patience_s=90, now=now)


def test_a_process_that_was_seen_and_is_no_more_has_ended(
    trainer: subprocess.Popen[bytes],
) -> None:
    watch, writer = ProcessWatch(), writer_of(trainer)
    assert not gone(watch, writer, silent_s=1, now=0)
    trainer.kill()
    trainer.wait()
    assert not gone(watch, writer, silent_s=1, now=10), "its last words may still be unread"
    assert gone(watch, writer, silent_s=4, now=20)


def test_a_killed_process_that_nobody_waited_for_has_ended(
    trainer: subprocess.Popen[bytes],
) -> None:
    watch, writer = ProcessWatch(), writer_of(trainer)
    assert not gone(watch, writer, silent_s=1, now=0)
    trainer.kill()
    process = psutil.Process(trainer.pid)
    wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE)
    assert gone(watch, writer, silent_s=4, now=10)


def test_a_process_that_was_never_seen_is_given_its_patience(
    trainer: subprocess.Popen[bytes],
) -> None:
    writer = writer_of(trainer)
    trainer.kill()
    trainer.wait()
    assert not gone(ProcessWatch(), writer, silent_s=60, now=0), "it may be in another container"
    assert gone(ProcessWatch(), writer, silent_s=91, now=0)


def test_another_process_under_the_old_number_is_not_taken_for_it() -> None:
    long_before = psutil.Process().create_time() - 3600
    writer = Writer("a-run", socket.gethostname(), os.getpid(), long_before)
    assert gone(ProcessWatch(), writer, silent_s=91, now=0)


def test_nothing_is_proven_about_another_machine_or_an_unknown_process() -> None:
    elsewhere = Writer("a-run", "another-box", 2**22, 0.0)
    assert not gone(ProcessWatch(), elsewhere, silent_s=1e6, now=0)
    assert not gone(ProcessWatch(), replace(elsewhere, pid=None), silent_s=1e6, now=0)


def test_an_impossible_process_number_is_no_process() -> None:
    writer = Writer("a-run", "box", 2**62, 0.0)
    assert gone(ProcessWatch("box"), writer, silent_s=91, now=0)
