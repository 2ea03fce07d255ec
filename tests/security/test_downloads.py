"""Downloads of texts of any size: bounded in memory, whole and right, or seen to be broken off."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control_room.client import Client
from control_room.history import export, long_texts, queries, windows
from control_room.history.export import csv_chunks, jsonl_chunks, parquet_chunks
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex
from tests.security.long_previews import add_enormous, database, read_all, write_log
from tests.support import ROOT, free_port, process, serving_app, wait_until

MB = 2**20
BESIDE_THE_INDEX_MB = 64
ODD = (
    '"',
    "\n",
    "\r\n",
    "🛑",
    "é",
    "\x01",
    "\x00",
    "=1+1",
    " ",
    "plain text, ",
    "\\",
    "\u2028",
    "'",
)


def odd_text(source: random.Random, size: int) -> str:
    return "".join(source.choice(ODD) for _ in range(size))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HistoryIndex]:
    """Rows from nothing to some thousand odd characters, in every text, list and map."""
    source = random.Random(14)
    previews: list[dict[str, Any]] = []
    for step in range(24):
        sizes = [source.choice((0, 1, 5, 40, 3_000)) for _ in range(5)]
        texts = [odd_text(source, size) for size in sizes]
        names = ("prompt", "golden", "model_answer", "error", "regime")
        preview: dict[str, Any] = dict(zip(names, texts, strict=True))
        preview["regime"] = preview["regime"] or ("some", "other")[step % 2]
        preview["exact_match"] = bool(step % 3)
        preview["ce"] = step / 7
        if step % 4 == 0:
            preview["token_log_probs"] = [-source.random() for _ in range(source.choice((3, 400)))]
            preview["contract_status"] = {odd_text(source, 9) + str(n): True for n in range(30)}
        previews.append(preview)
    run = write_log(tmp_path_factory.mktemp("mixed") / "run", previews)
    with HistoryIndex(run) as index:
        read_all(index)
        yield index


FILTERS = (PreviewFilter(), PreviewFilter(exact_match=True), PreviewFilter(text="TEXT"))


def files(
    index: HistoryIndex, wanted: PreviewFilter, *, raw: bool
) -> tuple[bytes, bytes, list[Any]]:
    """CSV, JSON lines, and the rows of Parquet."""
    parquet = b"".join(parquet_chunks(index.cursor(), wanted))
    return (
        b"".join(csv_chunks(index.cursor(), wanted, raw=raw)),
        b"".join(jsonl_chunks(index.cursor(), wanted)),
        pyarrow.parquet.read_table(io.BytesIO(parquet)).to_pylist(),
    )


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    window=st.sampled_from((1, 500, 4_000, 30_000)),
    piece=st.sampled_from((900, 1_500, 20_000)),
    short=st.integers(0, 4_000),
    block=st.integers(1, 30),
    wanted=st.sampled_from(FILTERS),
    raw=st.booleans(),
)
def test_every_row_stands_in_a_file_once_and_byte_for_byte_however_it_is_cut(
    mixed: HistoryIndex,
    window: int,
    piece: int,
    short: int,
    block: int,
    wanted: PreviewFilter,
    raw: bool,
) -> None:
    usual = files(mixed, wanted, raw=raw)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(export, "_WINDOW_BYTES", window)
        patched.setattr(export, "_ROW_GROUP_BYTES", window)
        patched.setattr(long_texts, "PIECE_BYTES", piece)
        patched.setattr(long_texts, "SHORT_BYTES", short)
        patched.setattr(windows, "BLOCK_ROWS", block)
        assert files(mixed, wanted, raw=raw) == usual
    lines = [json.loads(line) for line in usual[1].decode().split("\n")[:-1]]
    steps = [line["step"] for line in lines]
    assert steps == sorted(set(steps))
    assert [row["step"] for row in usual[2]] == steps
    read = list(csv.DictReader(io.StringIO(usual[0].decode(), newline="")))
    assert [int(row["step"]) for row in read] == steps
    if raw:
        assert [row["prompt"] for row in read] == [line["prompt"] for line in lines]
    if wanted == PreviewFilter():
        assert steps == list(range(24))


def test_a_page_finds_long_texts_as_it_finds_short_ones(
    mixed: HistoryIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wanted in FILTERS:
        page = queries.preview_page(mixed.cursor(), wanted, limit=7, offset=5)
        with monkeypatch.context() as patched:
            patched.setattr(queries, "_SEARCHED_BYTES", 1_000)
            patched.setattr("control_room.history.preview_rows._READ_BYTES", 1_000)
            assert queries.preview_page(mixed.cursor(), wanted, limit=7, offset=5) == page


def peak_beside_the_index_mb(run_dir: Path, kind: str, limit_mb: int) -> tuple[float, int]:
    """What an export in a process of its own took beside what the database may take."""
    module = ["tests.security.long_previews", "peak", str(run_dir), str(limit_mb), kind]
    asked = subprocess.run(
        [sys.executable, "-m", *module], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert asked.returncode == 0, asked.stderr
    told = json.loads(asked.stdout)
    return told["peak_mb"] - told["before_mb"] - limit_mb, told["bytes"]


SIZES = {
    "three thousand of 32 KB": [16_000] * 3_000,
    "small ones with long ones between": ([10] * 100 + [1_500_000]) * 15,
    "some that fill the longest line": [7_500_000] * 4,
}
SMALL_INDEX_MB = 100


@pytest.fixture(scope="module", params=SIZES)
def sized(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    sizes = SIZES[request.param]
    run_dir = tmp_path_factory.mktemp("sized") / "run"
    run = write_log(run_dir, [{"prompt": "p" * size, "model_answer": "a" * size} for size in sizes])
    with HistoryIndex(run, database=database(run), memory_limit_mb=1_500) as index:
        read_all(index)
    return run_dir


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_file_takes_little_memory_whatever_the_sizes(sized: Path, kind: str) -> None:
    beside, size = peak_beside_the_index_mb(sized, kind, SMALL_INDEX_MB)
    assert size > 100_000
    assert beside <= BESIDE_THE_INDEX_MB


@pytest.fixture(scope="module")
def enormous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts of 100 MB, some of them all quotes and some of signs that take four bytes."""
    run_dir = tmp_path_factory.mktemp("enormous") / "run"
    run = write_log(run_dir, [{}])
    with HistoryIndex(run, database=database(run), memory_limit_mb=2_000) as index:
        read_all(index)
        add_enormous(
            index,
            ("repeat('x', 100000000)", "repeat('\"', 100000000)", "repeat('🛑', 25000000)", "'s'"),
        )
    return run_dir


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_values_of_100_mb_leave_in_pieces(enormous: Path, kind: str) -> None:
    beside, size = peak_beside_the_index_mb(enormous, kind, 512)
    assert size > 400_000_000
    assert beside <= BESIDE_THE_INDEX_MB


def test_parquet_holds_one_value_whole_and_not_many(enormous: Path) -> None:
    # Its format has each value in one piece: as Arrow, as a page, packed. Measured: see docs.
    beside, _ = peak_beside_the_index_mb(enormous, "parquet", 512)
    assert beside <= 4 * 100


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("served")
    sizes = [1_500_000] * 40 + [4_000] * 300
    previews = [{"prompt": f"{step} " + "ü" * (size // 2)} for step, size in enumerate(sizes)]
    write_log(directory / "run", previews)
    limit = ["--set", "history.memory_limit_mb=512"]
    with serving_app(directory / "run", directory / "app.log", *limit) as address:

        def is_read() -> bool:
            page = httpx.get(f"{address}/api/preview/history?limit=1&fields=step", timeout=60)
            return page.status_code == 200 and page.json()["total"] == len(sizes)

        wait_until(is_read, 120, "the whole history")
        yield address


def test_a_page_of_long_texts_is_cut_and_says_where_they_are_whole(served: str) -> None:
    answer = httpx.get(f"{served}/api/preview/history?limit=100&max_step=39", timeout=60)
    assert len(answer.content) < 10 * MB
    rows = answer.json()["previews"]
    assert [row["step"] for row in rows] == list(range(40))[::-1]
    for row in rows[:3]:
        assert len(row["prompt"]) == queries.TEXT_CHARS
        whole = f"{row['step']} " + "ü" * 750_000
        assert row["cut"] == {"prompt": len(whole)}
        assert httpx.get(served + row["whole"], timeout=60).json()["prompt"] == whole
        text = httpx.get(f"{served}/api/preview/{row['id']}/prompt", timeout=60)
        assert text.text == whole
        assert text.headers["content-type"] == "text/plain; charset=utf-8"
        assert text.headers["x-content-type-options"] == "nosniff"
    short = httpx.get(f"{served}/api/preview/history?min_step=300&limit=1", timeout=60).json()
    assert not {"cut", "whole"} & short["previews"][0].keys()


def test_a_page_as_long_as_pages_may_be_stays_in_bounds(served: str) -> None:
    answer = httpx.get(f"{served}/api/preview/history?limit=1000", timeout=60)
    assert answer.json()["count"] == 340
    assert len(answer.content) < 3 * queries.PAGE_BYTES


def test_the_client_brings_whole_texts(served: str) -> None:
    found = list(Client(served, timeout_s=60).previews(min_step=38, max_step=39))
    assert [len(row["prompt"]) for row in found] == [750_003, 750_003]


def test_text_is_looked_for_in_long_texts(served: str) -> None:
    for query, steps in (("q=17%20ü&limit=3", [317, 217, 117]), ("q=nowhere", [])):
        page = httpx.get(f"{served}/api/preview/history?{query}&fields=step", timeout=60).json()
        assert [row["step"] for row in page["previews"]] == steps


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_download_is_whole(served: str, kind: str) -> None:
    assert shutil.which("curl"), "apt-get install curl"
    asked = subprocess.run(
        ["curl", "-sS", f"{served}/api/preview/history.{kind}?raw=1".removesuffix("?raw=1")],
        capture_output=True,
        check=False,
    )
    assert (asked.returncode, asked.stderr) == (0, b"")
    if kind == "csv":
        csv.field_size_limit(10**8)
        rows = list(csv.DictReader(io.StringIO(asked.stdout.decode(), newline="")))
        assert [int(row["step"]) for row in rows] == list(range(340))
    elif kind == "jsonl":
        lines = asked.stdout.decode().split("\n")[:-1]
        assert [json.loads(line)["step"] for line in lines] == list(range(340))
    else:
        assert pyarrow.parquet.read_table(io.BytesIO(asked.stdout)).num_rows == 340


def test_readers_that_take_nothing_hold_nobody_up(served: str) -> None:
    port = int(served.rpartition(":")[2])
    request = b"GET /api/preview/history.csv HTTP/1.1\r\nHost: localhost\r\n\r\n"
    readers = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
    try:
        for reader in readers:
            reader.sendall(request)
        for reader in readers:
            assert reader.recv(20).startswith(b"HTTP/1.1 200")
        page = httpx.get(f"{served}/api/preview/history?limit=1&fields=step", timeout=20)
        assert page.json()["total"] == 340
    finally:
        for reader in readers:
            reader.close()


@pytest.fixture(scope="module")
def breaking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The real app, of whose windows every third fails; its address and its log."""
    directory = tmp_path_factory.mktemp("breaking")
    write_log(directory / "run", [{"prompt": "p" * 30_000} for _ in range(40)])
    port, log = free_port(), directory / "app.log"
    module = ["tests.security.long_previews", "failing"]
    flags = ["--run-dir", str(directory / "run"), "--port", str(port)]
    with process([*module, *flags], log=log):
        address = f"http://127.0.0.1:{port}"

        def is_read() -> bool:
            try:
                page = httpx.get(f"{address}/api/preview/history?limit=1", timeout=60)
            except httpx.TransportError:
                return False
            return page.status_code == 200 and page.json()["total"] == 40

        wait_until(is_read, 60, "the history")
        yield address, log


@pytest.mark.parametrize("flags", [[], ["--compressed"]], ids=["plain", "gzip"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_download_that_fails_is_seen_to_have_failed(
    breaking: tuple[str, Path], kind: str, flags: list[str], tmp_path: Path
) -> None:
    address, log = breaking
    file = tmp_path / "out"
    asked = subprocess.run(
        ["curl", "-sS", *flags, "-o", str(file), f"{address}/api/preview/history.{kind}"],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert asked.returncode == 18, asked.stderr
    assert f"previews.{kind} broke off: the disk went away" in log.read_text()


def test_the_connection_ends_without_its_last_chunk(breaking: tuple[str, Path]) -> None:
    port = int(breaking[0].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as asking:
        asking.sendall(b"GET /api/preview/history.csv HTTP/1.1\r\nHost: localhost\r\n\r\n")
        got = b""
        try:
            while piece := asking.recv(2**16):
                got += piece
        except ConnectionResetError:
            pass
    assert got.startswith(b"HTTP/1.1 200")
    assert b"transfer-encoding: chunked" in got.lower()
    assert not got.endswith(b"0\r\n\r\n")
