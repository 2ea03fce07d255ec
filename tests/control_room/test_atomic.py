"""A file that appears whole or not at all, whatever happens while it is written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from control_room.atomic import replace_file, whole_file
from tests.support import ROOT

OLD, NEW = b"old" * 1000, b"new" * 100_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.json"
    path.write_bytes(OLD)
    return path


def run(code: str, file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_takes_the_place_of_what_was_there(file: Path) -> None:
    replace_file(file, NEW, fsync=True)
    assert file.read_bytes() == NEW
    assert list(file.parent.iterdir()) == [file]


def test_what_was_there_stays_until_it_is_whole(file: Path) -> None:
    with whole_file(file) as new:
        new.write(NEW)
        new.flush()
        assert file.read_bytes() == OLD
    assert file.read_bytes() == NEW


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
def test_an_error_leaves_all_as_it_was(file: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), whole_file(file) as new:
        new.write(NEW)
        raise error
    assert file.read_bytes() == OLD
    assert list(file.parent.iterdir()) == [file]


def test_a_writer_that_is_killed_leaves_what_was_there(file: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from control_room.atomic import whole_file\n"
        "with whole_file(Path(sys.argv[1])) as new:\n"
        "    new.write(b'x' * 1_000_000); new.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert run(code, file).returncode == -9
    assert file.read_bytes() == OLD
    replace_file(file, NEW)
    assert file.read_bytes() == NEW, "what the killed one left is in nobody's way"


def test_a_full_disk_leaves_what_was_there(file: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from control_room.atomic import replace_file\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))\n"
        "replace_file(Path(sys.argv[1]), b'x' * 1_000_000)"
    )
    assert "File too large" in run(code, file).stderr
    assert file.read_bytes() == OLD
    assert list(file.parent.iterdir()) == [file]


def test_a_missing_directory_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "gone" / "file", NEW)
    assert not (tmp_path / "gone").exists()


def test_others_may_read_it_as_they_may_any_new_file(file: Path) -> None:
    plain = file.with_name("plain")
    plain.write_bytes(b"")
    replace_file(file, NEW)
    assert file.stat().st_mode == plain.stat().st_mode


def test_a_link_in_its_place_is_replaced_and_not_followed(file: Path) -> None:
    link = file.with_name("link")
    link.symlink_to(file)
    replace_file(link, NEW)
    assert not link.is_symlink()
    assert file.read_bytes() == OLD


def test_within_an_open_directory_a_directory_that_is_exchanged_changes_nothing(
    tmp_path: Path,
) -> None:
    inside, moved = tmp_path / "inside", tmp_path / "moved"
    inside.mkdir()
    directory = os.open(inside, os.O_RDONLY | os.O_DIRECTORY)
    inside.rename(moved)
    inside.mkdir()
    replace_file(inside / "file", NEW, directory=directory)
    os.close(directory)
    assert (moved / "file").read_bytes() == NEW
    assert list(inside.iterdir()) == []


def test_a_name_in_the_working_directory_needs_no_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    replace_file(Path("file"), NEW)
    assert (tmp_path / "file").read_bytes() == NEW
