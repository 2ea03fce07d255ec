"""TRL's completions become previews: once, at once, and right where the user says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from control_room import PreviewRecord, RunDir
from control_room.__main__ import main
from control_room.importing import Imported, ImportRefused, Watch
from control_room.recording.records import parse_line
from tests.support import ROOT, wait_until

ROWS: list[dict[str, Any]] = [
    {
        "step": 10,
        "prompt": [{"role": "user", "content": "2 + 2?"}],
        "completion": [{"role": "assistant", "content": answer}],
        "accuracy_reward": reward,
        "advantage": 0.5,
        "solution": "4",
    }
    for answer, reward in (("4", 1.0), ("5", 0.0), ("four", 1.0))
]


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "run")


@pytest.fixture
def completions(tmp_path: Path) -> Path:
    return tmp_path / "out" / "completions"


def put(directory: Path, step: int = 10, rows: list[dict[str, Any]] | None = None) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"completions_{step:05d}.parquet"
    told = [{**row, "step": step} for row in (ROWS if rows is None else rows)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(told), path)
    return path


def imported(run: RunDir, *arguments: str | Path) -> int:
    return main(["import", *map(str, arguments), "--run-dir", str(run.path)])


def previews(run: RunDir) -> list[PreviewRecord]:
    return [
        parse_line(PreviewRecord, line)
        for log in sorted(run.logs("preview").glob("*.jsonl"))
        for line in log.read_bytes().splitlines()
    ]


def test_completions_of_a_prompt_are_samples_of_one_example(run: RunDir, completions: Path) -> None:
    put(completions)
    assert imported(run, completions.parent) == 0
    found = previews(run)
    assert [(each.prompt, each.golden, each.model_answer) for each in found] == [
        ("2 + 2?", "4", "4"),
        ("2 + 2?", "4", "5"),
        ("2 + 2?", "4", "four"),
    ]
    assert len({each.example_id for each in found}) == 1
    assert [each.sample_index for each in found] == [0, 1, 2]
    assert [each.exact_match for each in found] == [True, False, False]


@pytest.mark.parametrize("rewarded", [[], ["--right-when", "accuracy_reward>=1"]])
def test_an_error_in_place_of_a_completion_is_not_scored(
    run: RunDir, completions: Path, rewarded: list[str]
) -> None:
    text = "CUDA out of memory. Tried to allocate 2 GiB"
    put(completions, rows=[{**ROWS[1], "completion": text}])
    assert imported(run, completions.parent, *rewarded) == 0
    (found,) = previews(run)
    assert (found.exact_match, found.failure_mode) == (None, "server_error")
    assert text in str(found.error)


def test_a_reward_can_say_what_is_right(run: RunDir, completions: Path) -> None:
    put(completions)
    assert imported(run, completions, "--right-when", "accuracy_reward>=1") == 0
    assert [each.exact_match for each in previews(run)] == [True, False, True]


def test_without_a_golden_answer_nothing_is_scored(run: RunDir, completions: Path) -> None:
    bare = [{"prompt": "2 + 2?", "completion": "4", "reward": 1.0, "advantage": 0.0}]
    put(completions, rows=bare)
    assert imported(run, completions) == 0
    (preview,) = previews(run)
    assert (preview.golden, preview.exact_match, preview.failure_mode) == ("", None, None)


def test_a_conversation_keeps_its_roles(run: RunDir, completions: Path) -> None:
    prompt = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}]
    put(completions, rows=[{"prompt": prompt, "completion": "4"}])
    imported(run, completions)
    assert previews(run)[0].prompt == "system: Be brief.\n\nuser: 2 + 2?"


def test_a_copied_file_is_not_imported_twice(run: RunDir, completions: Path) -> None:
    path = put(completions)
    imported(run, path)
    copied = completions.parent / "elsewhere" / path.name
    copied.parent.mkdir()
    shutil.copyfile(path, copied)
    assert imported(run, copied) == 0
    assert len(previews(run)) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--golden-column", "gold"], "has no column gold"),
        (["--right-when", "correct>=1"], "has no column correct"),
    ],
)
def test_a_column_that_is_not_there_is_named_with_those_that_are(
    run: RunDir,
    completions: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    put(completions)
    assert imported(run, completions, *arguments) == 1
    told = capsys.readouterr().err
    assert said in told
    assert "accuracy_reward" in told


def test_another_table_is_refused(run: RunDir, completions: Path) -> None:
    path = completions / "completions_00001.parquet"
    completions.mkdir(parents=True)
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), path)
    assert imported(run, path) == 1
    path.write_bytes(b"PAR1 and no more")
    assert imported(run, path) == 1


def test_a_watch_takes_each_file_once_and_waits_for_one_that_is_being_written(
    run: RunDir, completions: Path
) -> None:
    whole = put(completions, 10).read_bytes()
    half = completions / "completions_00020.parquet"
    half.write_bytes(whole[: len(whole) // 2])
    watch = Watch(completions, run)
    assert [each.added for each in watch.look() if isinstance(each, Imported)] == [3]
    assert list(watch.look()) == []
    put(completions, 20)
    assert [each.added for each in watch.look() if isinstance(each, Imported)] == [3]
    watch.close()
    assert [each.step for each in previews(run)] == [10] * 3 + [20] * 3


def test_a_file_that_stays_broken_is_told_once(run: RunDir, completions: Path) -> None:
    completions.mkdir(parents=True)
    path = completions / "completions_00001.parquet"
    path.write_bytes(b"PAR1")
    long_ago = time.time() - 60
    os.utime(path, (long_ago, long_ago))
    watch = Watch(completions, run)
    assert [type(each) for each in watch.look()] == [ImportRefused]
    assert list(watch.look()) == []
    watch.close()


def test_the_command_watches_until_it_is_interrupted(run: RunDir, completions: Path) -> None:
    put(completions, 10)
    command = [sys.executable, "-m", "control_room", "import", str(completions), "--watch"]
    with subprocess.Popen([*command, "--run-dir", str(run.path)], cwd=ROOT) as process:
        try:
            wait_until(lambda: len(previews(run)) == 3)
            put(completions, 20)
            wait_until(lambda: len(previews(run)) == 6)
            process.send_signal(2)
            assert process.wait(10) == 0
        finally:
            process.kill()
