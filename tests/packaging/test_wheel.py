"""The distribution: what it holds, and that it works where nothing of the repository is.

Built and installed from a package index once, into one environment.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import control_room
from tests.support import PATIENCE_S, ROOT, free_port, wait_until

pytestmark = pytest.mark.packaging

FOLDERS = ("app", "collectors", "examples", "pages")


def run(*command: str | Path, cwd: Path) -> str:
    """Its output; the test fails with it when it ends with an error."""
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sdist, and the wheel that was built from it."""
    directory = tmp_path_factory.mktemp("built")
    probe = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "setuptools>=77"]
    reached = subprocess.run([*probe, "--dest", directory / "probe"], check=False, timeout=600)
    if reached.returncode != 0:
        pytest.skip("pip reaches no package index here: nothing can be built or installed")
    source = directory / "source"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in filter(None, run(*listed, cwd=ROOT).split("\0")):
        if (ROOT / name).is_file():  # not so one that is deleted and not yet committed
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    run(sys.executable, "-m", "build", "--outdir", directory, source, cwd=directory)
    return directory


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds the wheel and what the demo needs."""
    environment = tmp_path_factory.mktemp("installed") / "venv"
    run(sys.executable, "-m", "venv", environment, cwd=environment.parent)
    programs = environment / "bin"
    run(programs / "pip", "install", "--quiet", f"{wheel}[demo]", cwd=environment.parent)
    return programs


@contextmanager
def running(*command: str | Path, cwd: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A process, and the file with what it writes; interrupted as by Ctrl-C when the block ends."""
    log = cwd.parent / f"{cwd.name}.log"
    with log.open("wb") as output:
        started = subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield started, log
    finally:
        started.send_signal(signal.SIGINT)
        try:
            started.wait(timeout=PATIENCE_S)
        finally:
            started.kill()
    assert "Traceback" not in log.read_text()


def answer(url: str) -> Any:
    """JSON from there; None while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return json.load(response)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def test_the_wheel_carries_the_app_inside_the_package_and_nothing_beside_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"control_room", f"control_room-{control_room.__version__}.dist-info"}
    assert {"control_room/py.typed", "control_room/_app/streamlit_config/config.toml"} <= names
    tracked = run("git", "ls-files", "control_room", *FOLDERS, cwd=ROOT).split()
    for name in tracked:
        inside = name if name.startswith("control_room/") else f"control_room/_app/{name}"
        if (ROOT / name).is_file() and name != "examples/requirements.txt":
            assert inside in names


def test_the_wheel_has_the_version_the_command_and_the_extras(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (about,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(about).decode()
        commands = archive.read(about.replace("METADATA", "entry_points.txt")).decode()
    assert f"\nVersion: {control_room.__version__}\n" in metadata
    assert "control-room = control_room.cli:main" in commands
    extras = re.findall(r"^Provides-Extra: (.*)$", metadata, re.MULTILINE)
    assert sorted(extras) == ["app", "demo", "history", "previews", "redis"]
    required = re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE)
    assert [each for each in required if "extra ==" not in each] == []


def test_the_sdist_holds_what_a_wheel_is_built_from_and_no_tests(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers()}
    assert {"setup.py", "pyproject.toml", "README.md", "LICENSE", "pages/live.py"} <= names
    assert not [name for name in names if name.startswith("tests")]


def test_the_command_tells_its_version_from_an_empty_directory(
    installed: Path, tmp_path: Path
) -> None:
    said = f"control-room {control_room.__version__}\n"
    assert run(installed / "control-room", "version", cwd=tmp_path) == said
    assert run(installed / "control-room", "--version", cwd=tmp_path) == said


def test_no_folder_of_the_app_can_be_imported(installed: Path, tmp_path: Path) -> None:
    look = (
        "import sys; from importlib.util import find_spec; print([*map(find_spec, sys.argv[1:])])"
    )
    assert run(installed / "python", "-c", look, *FOLDERS, cwd=tmp_path) == (
        "[None, None, None, None]\n"
    )


def test_the_checks_reader_may_go_away(installed: Path, tmp_path: Path) -> None:
    command = f"'{installed}/control-room' check run | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("○ run directory:")
    assert done.stderr == ""


def test_it_serves_a_run_from_an_empty_directory(installed: Path, tmp_path: Path) -> None:
    with control_room.Recorder(tmp_path / "run", run_id="first-run") as recorder:
        recorder.update_status(current_step=3, total_steps=9, loss=0.5)
    empty = tmp_path / "empty"
    empty.mkdir()
    port = free_port()
    command = (installed / "control-room", "serve", "../run", "--port", str(port))
    with running(*command, cwd=empty) as (server, log):

        def shows_the_run() -> bool:
            assert server.poll() is None, log.read_text()
            live = answer(f"http://127.0.0.1:{port}/api/status/live")
            return live is not None and live["run_id"] == "first-run"

        wait_until(shows_the_run, what="the run's first card")
        health = answer(f"http://127.0.0.1:{port}/health")
        assert (health["status"], health["sources"]["training"]["error"]) == ("ok", None)
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60)
        with page:
            assert page.status == 200
    assert server.returncode == 130
    assert list(empty.iterdir()) == []


def test_it_shows_the_demos_first_preview(installed: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    port = free_port()
    command = (installed / "control-room", "demo", "--port", str(port))
    with running(*command, cwd=empty) as (demo, log):

        def shows_a_preview() -> bool:
            assert demo.poll() is None, log.read_text()
            preview = answer(f"http://127.0.0.1:{port}/api/status/preview")
            return preview is not None and preview["latest_preview"] is not None

        wait_until(shows_a_preview, what="the demo's first preview")
    assert demo.returncode == 0
    assert [path.name for path in empty.iterdir()] == ["demo_run"]
