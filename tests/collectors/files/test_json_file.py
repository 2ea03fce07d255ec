import json
import os
from pathlib import Path

import pytest

from collectors.files.json_file import JsonFile

NOW = 1_800_000_000.0
LONG_AGO = NOW - 1000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "training_status.json"


def write(path: Path, content: str | bytes, at: float = LONG_AGO) -> None:
    """Replace the file as a careful trainer does, with ``at`` as its time."""
    new = path.with_suffix(".tmp")
    new.write_bytes(content if isinstance(content, bytes) else content.encode())
    os.utime(new, (at, at))
    new.replace(path)


def test_a_new_object_is_given_once(path: Path) -> None:
    file = JsonFile(path)
    write(path, '{"current_step": 1}')
    assert file.look(NOW).data == {"current_step": 1}
    again = file.look(NOW)
    assert again.data is None
    assert again.problem is None
    assert again.mtime == LONG_AGO


def test_a_replaced_file_is_read_again_even_with_the_same_time_and_size(path: Path) -> None:
    file = JsonFile(path)
    write(path, '{"current_step": 1}')
    file.look(NOW)
    write(path, '{"current_step": 2}')
    assert file.look(NOW).data == {"current_step": 2}


def test_two_writes_within_a_tick_of_the_clock_are_both_seen(path: Path) -> None:
    file = JsonFile(path)
    path.write_text('{"current_step": 1}')
    now = path.stat().st_mtime + 0.001
    file.look(now)
    before = path.stat()
    path.write_text('{"current_step": 2}')
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.look(now).data == {"current_step": 2}


def test_a_missing_file_is_no_problem_of_the_reader(path: Path) -> None:
    assert JsonFile(path).look(NOW).mtime is None
    assert JsonFile(path).look(NOW).problem is None


def test_a_file_that_comes_back_is_read(path: Path) -> None:
    file = JsonFile(path)
    write(path, '{"current_step": 1}')
    file.look(NOW)
    path.unlink()
    file.look(NOW)
    write(path, '{"current_step": 1}')
    assert file.look(NOW).data == {"current_step": 1}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ('{"current_step": 15', "half written"),
        ("<html>", "not complete JSON"),
        (b"\xff\xfe\x00{", "not complete JSON"),
        (b"\x80\x81", "not complete JSON"),
        ("[" * 100_000, "not complete JSON"),
        ('{"a": ' + "9" * 5000 + "}", "not complete JSON"),
        ("[1, 2]", "JSON array where an object"),
        ("null", "JSON value where an object"),
        ("3", "JSON number where an object"),
    ],
)
def test_what_is_no_object_is_named_with_its_file(
    path: Path, content: str | bytes, says: str
) -> None:
    write(path, content)
    look = JsonFile(path).look(NOW)
    assert look.data is None
    assert look.problem is not None
    assert says in look.problem
    assert str(path) in look.problem


def test_a_problem_is_told_until_the_file_changes(path: Path) -> None:
    file = JsonFile(path)
    write(path, "{")
    assert file.look(NOW).problem == file.look(NOW + 60).problem is not None
    write(path, "{}")
    assert file.look(NOW + 61).problem is None


def test_a_file_in_the_middle_of_a_write_is_given_a_second(path: Path) -> None:
    file = JsonFile(path)
    write(path, '{"current_step": 15', at=NOW - 0.2)
    assert file.look(NOW).problem is None
    assert "half written" in str(file.look(NOW + 1).problem)


def test_a_file_of_50_mb_is_not_loaded(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(50 * 2**20)
    look = JsonFile(path).look(NOW)
    assert look.data is None
    assert "is 50 MiB, more than the 8 MiB that are read" in str(look.problem)


def test_a_directory_in_its_place_is_named(path: Path) -> None:
    path.mkdir()
    assert f"{path} is a directory" in str(JsonFile(path).look(NOW).problem)


def test_a_pipe_in_its_place_does_not_hang_the_reader(path: Path) -> None:
    os.mkfifo(path)
    assert "not a regular file" in str(JsonFile(path).look(NOW).problem)


def test_a_link_that_leads_round_in_circles_is_named(path: Path) -> None:
    path.symlink_to(path)
    assert f"{path} cannot be read" in str(JsonFile(path).look(NOW).problem)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_named_and_read_once_it_may(path: Path) -> None:
    file = JsonFile(path)
    write(path, '{"current_step": 1}')
    path.chmod(0)
    assert "Permission denied" in str(file.look(NOW).problem)
    path.chmod(0o600)
    assert file.look(NOW).data == {"current_step": 1}


def test_the_newest_object_wins_over_an_old_problem(path: Path) -> None:
    file = JsonFile(path)
    write(path, "{")
    file.look(NOW)
    write(path, json.dumps({"loss": 0.5}))
    look = file.look(NOW)
    assert look.data == {"loss": 0.5}
    assert look.problem is None


def test_half_a_surrogate_pair_goes_no_further_also_as_a_key(path: Path) -> None:
    write(path, '{"\\ud800": {"a\\udfff": "\\ud83e\\udd14 \\ud800"}}')
    assert JsonFile(path).look(NOW).data == {"\ufffd": {"a\ufffd": "🤔 \ufffd"}}
