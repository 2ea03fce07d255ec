"""Scoring a log anew."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from control_room.__main__ import main
from control_room.recording.records import PreviewRecord, parse_line


def write(path: Path, *records: dict[str, object]) -> Path:
    lines = [
        json.dumps(
            {"ts": "2026-01-01T00:00:00+00:00", "step": 1, "prompt": "p", "golden": "4", **record}
        )
        for record in records
    ]
    path.write_text("\n".join([*lines, "this is no record"]) + "\n")
    return path


def read(path: Path) -> list[PreviewRecord]:
    return [parse_line(PreviewRecord, line) for line in path.read_bytes().splitlines()[:-1]]


def test_answers_are_scored_anew_into_another_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = write(
        tmp_path / "preview_history_2026-01-01.jsonl",
        {"model_answer": "4", "exact_match": False, "failure_mode": "wrong_content"},
        {"model_answer": "5", "exact_match": None},
        {"model_answer": "It is 4", "dataset_id": "gsm8k", "exact_match": False},
        {"model_answer": "", "error": "HTTP 500", "failure_mode": "server_error"},
        {"model_answer": "CUDA out of memory", "exact_match": False},
        {"model_answer": "4", "exact_match": True, "finish_reason": "error"},
    )
    before = log.read_bytes()
    assert main(["score", str(log), "--scorer", "gsm*=control_room.scorers.numeric"]) == 0
    assert log.read_bytes() == before, "the log stays as it is"
    first, second, third, fourth, *errors = read(
        tmp_path / "preview_history_2026-01-01.rescored.jsonl"
    )
    assert (first.exact_match, first.failure_mode) == (True, None)
    assert (second.exact_match, second.failure_mode) == (False, "wrong_content")
    assert third.exact_match is True
    assert (fourth.exact_match, fourth.error) == (None, "HTTP 500")
    for error in errors:
        assert (error.exact_match, error.failure_mode) == (None, "server_error")
        assert error.error is not None
    told = capsys.readouterr().out
    assert "6 previews: 1 were right, 2 are now" in told
    assert "1 that were not scored are wrong" in told
    assert "1 that were wrong are errors of the server, and not scored" in told
    assert "1 lines cannot be read" in told


def test_a_compressed_log_and_a_name_of_ones_own(tmp_path: Path) -> None:
    log = write(tmp_path / "a.jsonl", {"model_answer": "4"})
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    assert main(["score", str(packed), "--output", str(tmp_path / "b.jsonl")]) == 0
    assert read(tmp_path / "b.jsonl")[0].exact_match is True


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["none.jsonl"], "none.jsonl"),
        (["a.jsonl", "--output", "a.jsonl"], "there already"),
        (["a.jsonl", "--scorer", "numeric"], "GLOB=NAME"),
        (["a.jsonl", "--scorer", "*=no.such"], "cannot be loaded"),
        (["bad.gz"], "nothing was written"),
        (["a.jsonl", "--config", "no.toml"], "no.toml, which --config names, is missing"),
        (["a.jsonl", "--config", "odd.toml"], "contract of mine: check = None is none of"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    word: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.jsonl", {"model_answer": "4"})
    (tmp_path / "bad.gz").write_bytes(b"not gzip")
    (tmp_path / "odd.toml").write_text("[[contracts.mine]]\n")
    before = sorted(tmp_path.iterdir())
    assert main(["score", *arguments]) == 1
    assert word in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


_BULLETS = """
[[contracts.bullets]]
check = "prefix_repeat"
name = "bullet"
symbols = ["*"]
min_repeats = 1
max_repeats = 1
"""


def test_regimes_of_the_users_own_settings_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "previews.toml").write_text(_BULLETS)
    log = write(tmp_path / "a.jsonl", {"model_answer": "* 4", "regime": "bullets"})
    assert main(["score", str(log)]) == 0
    (found,) = read(tmp_path / "a.rescored.jsonl")
    assert (found.exact_match, found.contract_status) == (True, {"bullet": True})


def test_settings_in_a_run_count_only_where_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "previews.toml").write_text(_BULLETS)
    log = tmp_path / "logs" / "preview" / "a.jsonl"
    log.parent.mkdir(parents=True)
    write(log, {"model_answer": "* 4", "regime": "bullets"})
    assert main(["score", str(log), "--output", "plain.jsonl"]) == 0
    assert "name it with --config to use it" in capsys.readouterr().err
    assert main(["score", str(log), "--output", "b.jsonl", "--config", "previews.toml"]) == 0
    assert [read(tmp_path / name)[0].exact_match for name in ("plain.jsonl", "b.jsonl")] == [
        False,
        True,
    ]
