"""The answers of a remote shell: cut out of what arrives, and understood."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.machines.host import HostReading, HostWatch
from collectors.machines.ssh_probe import (
    Answer,
    AnswerReader,
    CpuTimes,
    cpu_times,
    host_reading,
    prelude,
    request,
)

HOST = """\
cpu  100 10 50 800 40 0 0 0 30 0
cpu0 50 5 25 400 20 0 0 0 15 0
cpu1 50 5 25 400 20 0 0 0 15 0
MemTotal:       67108864 kB
MemAvailable:   33554432 kB
SwapTotal:       8388608 kB
SwapFree:        6291456 kB
0.52 0.58 0.59 3/1024 12345
86400.12 160000.55
inference
"""
DISK = """\
Filesystem     1024-blocks      Used Available Capacity Mounted on
/dev/nvme0n1p2   976762584 104857600 822083584      12% /
"""


def reading(
    host: str = HOST, disk: Answer | None = None, before: CpuTimes | None = None
) -> HostReading:
    answer = Answer("host", 1, 0, host)
    return host_reading(answer, disk, name="box", path="/", cpu_before=before)


def test_a_host_tells_its_values_in_gib() -> None:
    found = reading(disk=Answer("disk", 1, 0, DISK), before=CpuTimes(60, 500))
    assert (found.hostname, found.cpu_count, found.load_1m) == ("inference", 2, 0.52)
    assert (found.ram_used_gb, found.ram_total_gb) == (32, 64)
    assert (found.swap_used_gb, found.swap_total_gb) == (2, 8)
    assert found.disk_used_gb == 100
    assert found.disk_total_gb == pytest.approx(976762584 / 2**20)
    assert found.uptime_s == 86400.12
    assert found.cpu_pct == pytest.approx(100 * (160 - 60) / (1000 - 500))
    assert found.problem is None


def test_the_first_look_cannot_tell_how_busy_the_cpus_are() -> None:
    assert reading().cpu_pct is None


def test_a_reboot_is_no_negative_use() -> None:
    assert reading(before=CpuTimes(busy=9_000, total=90_000)).cpu_pct is None


def test_what_is_missing_is_none_and_named() -> None:
    found = reading(host="no such file\n", disk=Answer("disk", 1, 1, "df: /x: No such file"))
    assert (found.ram_used_gb, found.cpu_count, found.load_1m, found.uptime_s) == (None,) * 4
    assert found.hostname == "box"
    assert "/proc/meminfo" in str(found.problem)
    assert "No such file" in str(found.problem)


def test_a_disk_that_does_not_answer_is_named() -> None:
    assert "network drive" in str(reading(disk=None).problem)


def test_answers_are_sorted_out_whatever_comes_between() -> None:
    reader = AnswerReader(lambda part, number: True)
    arrived = (
        "Welcome to box!\r\n@host 7:one\n@gpu 7:row: 1\n@host 7:  two\n"
        "@@host 7 0\nnoise\n@gpu 7:row 2\n@@gpu 7 9\n@@disk 7 1\n"
    )
    answers = [answer for letter in arrived for answer in reader.feed(letter)]
    assert answers == [
        Answer("host", 7, 0, "one\n  two"),
        Answer("gpu", 7, 9, "row: 1\nrow 2"),
        Answer("disk", 7, 1, ""),
    ]
    assert reader.passed_over.startswith("Welcome to box!")


def test_half_an_answer_is_none() -> None:
    reader = AnswerReader(lambda part, number: True)
    assert reader.feed("@host 1:MemTotal: 5 kB\n@@host 1") == []


@given(st.lists(st.text(alphabet="@host 17:\n@", max_size=30), max_size=20))
def test_no_arrival_breaks_the_reader(pieces: list[str]) -> None:
    reader = AnswerReader(lambda part, number: True)
    for piece in pieces:
        reader.feed(piece)


@given(st.text())
def test_no_host_breaks_the_understanding(text: str) -> None:
    cpu_times(text)
    reading(host=text, disk=Answer("disk", 1, 0, text))


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_real_shell_answers_what_this_machine_says_of_itself(
    shell: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("with 'odd' $name")
    script = prelude(str(directory), ("pid",)) + request(1, ("index",), ["host", "disk"]) + "wait\n"
    printed = subprocess.run([shell], input=script, capture_output=True, text=True, check=True)
    answers = {
        answer.part: answer
        for answer in AnswerReader(lambda part, number: True).feed(printed.stdout)
    }
    found = host_reading(
        answers["host"], answers["disk"], name="x", path=str(directory), cpu_before=None
    )
    own = HostWatch(directory).read()
    assert found.problem is None
    assert found.ram_total_gb is not None and found.disk_total_gb is not None
    assert own.disk_total_gb == pytest.approx(found.disk_total_gb, rel=0.01)
    assert own.uptime_s == pytest.approx(found.uptime_s, abs=30)
    assert cpu_times(answers["host"].text) is not None


def test_asking_a_thousand_times_leaves_nothing_behind_in_the_shell() -> None:
    asked = "".join(request(number, ("index",), ["host"]) + "wait\n" for number in range(1000))
    script = prelude("/", ("pid",)) + asked + "jobs | wc -l\n"
    printed = subprocess.run(["sh"], input=script, capture_output=True, text=True, check=True)
    assert int(printed.stdout.split()[-1]) == 0
