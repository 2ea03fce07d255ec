"""The tail of a log directory: every complete line once, whatever happens to the files."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_room.logs.tail import LogTail, Reject, TailBatch


def append(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(data)


def texts(batch: TailBatch) -> list[bytes]:
    return [line.data for line in batch.lines]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "day_2026-01-01.jsonl"


@pytest.fixture
def tail(log: Path) -> LogTail:
    return LogTail(log.parent, ("day_????-??-??.jsonl",))


def test_a_directory_that_does_not_exist_has_no_lines(tail: LogTail) -> None:
    assert tail.read() == TailBatch()


def test_each_line_comes_once_with_its_number(tail: LogTail, log: Path) -> None:
    append(log, b"one\ntwo\n")
    assert [(line.number, line.data) for line in tail.read().lines] == [(1, b"one"), (2, b"two")]
    assert tail.read() == TailBatch()
    append(log, b"three\n")
    assert [(line.number, line.data) for line in tail.read().lines] == [(3, b"three")]


def test_a_half_written_line_waits_for_its_end(tail: LogTail, log: Path) -> None:
    append(log, b"one\ntw")
    assert texts(tail.read()) == [b"one"]
    assert texts(tail.read()) == []
    append(log, b"o\n")
    assert texts(tail.read()) == [b"two"]


def test_a_new_day_is_found(tail: LogTail, log: Path) -> None:
    append(log, b"one\n")
    tail.read()
    append(log.with_name("day_2026-01-02.jsonl"), b"two\n")
    append(log.with_name("other.jsonl"), b"not ours\n")
    assert texts(tail.read()) == [b"two"]


def test_a_file_cut_short_is_read_again_and_said_so(tail: LogTail, log: Path) -> None:
    append(log, b"one\ntwo\n")
    tail.read()
    log.write_bytes(b"new\n")
    batch = tail.read()
    assert texts(batch) == [b"new"]
    assert batch.restarted == (log,)


def test_a_replaced_file_is_read_again(tail: LogTail, log: Path) -> None:
    append(log, b"one\n")
    tail.read()
    other = log.with_name("new.tmp")
    other.write_bytes(b"first\nsecond\n")
    other.replace(log)
    batch = tail.read()
    assert texts(batch) == [b"first", b"second"]
    assert batch.restarted == (log,)


def test_a_file_rewritten_in_place_with_more_is_read_again(tail: LogTail, log: Path) -> None:
    append(log, b"one\n")
    tail.read()
    log.write_bytes(b"another and longer\n")
    batch = tail.read()
    assert texts(batch) == [b"another and longer"]
    assert batch.restarted == (log,)


def test_a_vanished_file_is_no_error_and_may_come_back(tail: LogTail, log: Path) -> None:
    append(log, b"one\n")
    tail.read()
    log.unlink()
    assert tail.read() == TailBatch()
    append(log, b"two\n")
    assert texts(tail.read()) == [b"two"]


def test_a_directory_named_like_a_log_is_named_and_hides_nothing(tail: LogTail, log: Path) -> None:
    append(log, b"one\n")
    log.with_name("day_2026-01-02.jsonl").mkdir()
    batch = tail.read()
    assert texts(batch) == [b"one"]
    (problem,) = batch.problems
    assert "day_2026-01-02.jsonl" in problem


@pytest.mark.parametrize("last_lines", [None, 10])
def test_a_pipe_named_like_a_log_holds_nobody_up(log: Path, last_lines: int | None) -> None:
    append(log, b"one\n")
    os.mkfifo(log.with_name("day_2026-01-02.jsonl"))
    tail = LogTail(log.parent, ("*.jsonl",), last_lines=last_lines)
    batch = tail.read()
    assert texts(batch) == [b"one"]
    (problem,) = batch.problems
    assert "day_2026-01-02.jsonl" in problem and "no regular file" in problem


def test_a_file_whose_name_no_table_can_hold_is_named_and_hides_nothing(log: Path) -> None:
    append(log, b"1\n")
    odd = os.fsdecode(os.fsencode(log.parent) + b"/a\xff.jsonl")
    append(Path(odd), b"2\n")
    batch = LogTail(log.parent, ("*.jsonl",)).read()
    assert [block.file for block in batch.blocks] == [log]
    assert batch.problems == (
        f"{log.parent}/a\\udcff.jsonl is not read: rename it, its name holds what cannot be shown.",
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named_until_it_can_be_read(tail: LogTail, log: Path) -> None:
    append(log, b"one\n")
    log.chmod(0)
    (problem,) = tail.read().problems
    assert "Permission denied" in problem
    log.chmod(0o600)
    batch = tail.read()
    assert texts(batch) == [b"one"]
    assert batch.problems == ()


def test_a_line_that_is_too_long_is_rejected_and_the_next_is_read(log: Path) -> None:
    tail = LogTail(log.parent, ("*.jsonl",), max_line_bytes=100, max_read_bytes=64)
    append(log, b"one\n" + b"x" * 1000)
    lines = texts(tail.read())
    for _ in range(40):
        lines += texts(tail.read())
    append(log, b"x\ntwo\n")
    rejects: list[Reject] = []
    for _ in range(40):
        batch = tail.read()
        lines += texts(batch)
        rejects += batch.rejects
    assert lines == [b"one", b"two"]
    assert [(reject.line_number, reject.reason) for reject in rejects] == [
        (2, "longer than 100 bytes")
    ]


def test_a_line_longer_than_one_read_is_read_whole(log: Path) -> None:
    tail = LogTail(log.parent, ("*.jsonl",), max_read_bytes=64)
    append(log, b"x" * 1000 + b"\ntwo\n")
    lines = texts(tail.read())
    for _ in range(3):
        lines += texts(tail.read())
    assert lines == [b"x" * 1000, b"two"]


def test_one_read_is_bounded_and_says_that_there_is_more(log: Path) -> None:
    tail = LogTail(log.parent, ("*.jsonl",), max_read_bytes=100)
    append(log, b"0123456789\n" * 100)
    batch = tail.read()
    assert batch.more
    assert len(list(batch.lines)) < 20
    batches = [batch]
    while batches[-1].more:
        batches.append(tail.read())
    assert sum(len(list(batch.lines)) for batch in batches) == 100


@pytest.mark.parametrize("wanted", [0, 1, 5, 7, 100])
def test_the_first_look_may_begin_near_the_end(log: Path, wanted: int) -> None:
    append(log, b"".join(b"a%d\n" % i for i in range(6)))
    append(log.with_name("day_2026-01-02.jsonl"), b"".join(b"b%d\n" % i for i in range(4)))
    tail = LogTail(log.parent, ("*.jsonl",), last_lines=wanted)
    every = [b"a%d" % i for i in range(6)] + [b"b%d" % i for i in range(4)]
    assert texts(tail.read()) == every[len(every) - min(wanted, 10) :]
    append(log.with_name("day_2026-01-02.jsonl"), b"new\n")
    (line,) = tail.read().lines
    assert (line.data, line.number) == (b"new", 5)


@settings(max_examples=60, deadline=None)
@given(
    lines=st.lists(
        st.binary(min_size=1, max_size=30).filter(lambda b: b"\n" not in b and b.strip())
    ),
    cuts=st.lists(st.integers(0, 600), max_size=8),
    tail_of=st.binary(max_size=5).filter(lambda b: b"\n" not in b),
)
def test_however_a_stream_is_cut_into_appends_the_lines_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], cuts: list[int], tail_of: bytes
) -> None:
    log = tmp_path_factory.mktemp("cut") / "a.jsonl"
    stream = b"".join(line + b"\n" for line in lines) + tail_of
    tail = LogTail(log.parent, ("*.jsonl",))
    seen: list[bytes] = []
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for start, end in pairwise(edges):
        append(log, stream[start:end])
        batch = tail.read()
        assert not batch.restarted
        seen += texts(batch)
    assert seen == lines
