"""A run directory is data: whatever its settings say, they only change what is shown.

Each attack is also made from the user's own file, where it is no attack: there it acts, which shows
that it would have acted here.
"""

from __future__ import annotations

import json
import os
import pickle
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import pytest
from huey import SqliteHuey

from app.settings import load_settings
from app.watch.monitor import Monitor
from app.watch.runs import Runs
from control_room.history.index import HistoryIndex
from control_room.previews.checkpoints import find_checkpoints
from control_room.previews.config import load_config_for
from control_room.recording.recorder import Recorder
from control_room.rundir import RunDir
from tests.control_room.previews.model_server import ModelServer, completion
from tests.support import PATIENCE_S, ROOT, free_port, process, serving_app, wait_until

SECRET = "canary-9f2c"
PUT_IT = "put it into your own control_room.toml"
NAME = "control_room.toml"
PREVIEWS = "previews.toml"
ONE_ROUND = "[checkpoints]\nsettle_s = 0\n[eval]\nevery = 0\n"  # of one new checkpoint


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No settings of whoever runs these tests."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    return home


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run with something to see."""
    with Recorder(tmp_path / "run") as recorder:
        recorder.update_status(current_step=1, total_steps=2, loss=1.0)
        prompt = "a" * 40 + "!"
        recorder.log_preview(
            step=1, prompt=prompt, golden="x", model_answer="x", exact_match=True, golden_tokens=3
        )
    return RunDir(tmp_path / "run")


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """An address of this machine, and what was asked there with which headers."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers}")
            self.send_response(404)
            self.send_header("content-length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def command(
    *arguments: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """``python -m …`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
    )


def over_ssh(directory: Path, canary: Path, way: str) -> str:
    """Settings of a machine whose SSH configuration, beside them, runs a command."""
    touch = f"touch {canary}"
    ssh_config = directory / "ssh_config"
    ssh_config.write_text(
        f"Host trap\n  HostName 127.0.0.1\n  ProxyCommand {touch}\n"
        if way == "ProxyCommand"
        else f'Match exec "{touch}"\n  HostName 127.0.0.1\n'
    )
    return (
        '[[machines]]\nname = "trap"\nrole = "inference"\n'
        f'ssh = {{ host = "trap", config_file = "{ssh_config}" }}\n'
    )


def over_http(directory: Path, url: str) -> str:
    """Settings of a machine that sends a file of this one to an address."""
    key = directory / "key"
    key.write_text(SECRET)
    return (
        '[[machines]]\nname = "trap"\nrole = "inference"\n'
        f'http = {{ url = "{url}", api_key_file = "{key}" }}\n'
    )


def system(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{address}/api/status/system", timeout=PATIENCE_S) as answer:
        told: dict[str, Any] = json.load(answer)
        return told


class TestNoCommandIsRun:
    @pytest.mark.parametrize("way", ["ProxyCommand", "Match exec"])
    def test_by_check(self, run: RunDir, tmp_path: Path, way: str) -> None:
        canary = tmp_path / "touched"
        (run.path / NAME).write_text(over_ssh(run.path, canary, way))
        told = command("app", "check", "--run-dir", str(run.path))
        assert not canary.exists(), told.stdout
        assert "machines" in told.stdout and PUT_IT in told.stdout

    def test_by_check_where_one_stands_in_the_run(self, run: RunDir, tmp_path: Path) -> None:
        canary = tmp_path / "touched"
        (run.path / NAME).write_text(over_ssh(run.path, canary, "ProxyCommand"))
        for arguments in ([], ["--run-dir", "."], ["--run-dir", str(tmp_path / "other")]):
            told = command("app", "check", *arguments, cwd=run.path)
            assert not canary.exists(), told.stdout
            assert PUT_IT in told.stdout, arguments

    def test_by_the_app(self, run: RunDir, tmp_path: Path) -> None:
        canary, log = tmp_path / "touched", tmp_path / "app.log"
        (run.path / NAME).write_text(over_ssh(run.path, canary, "ProxyCommand"))
        with serving_app(run.path, log) as address:
            told = system(address)
            assert "trap" not in [machine["name"] for machine in told["machines"]]
            assert any(
                PUT_IT in problem and "machines" in problem for problem in told["settings_problems"]
            )
        assert not canary.exists()
        assert PUT_IT in log.read_text()

    def test_but_by_the_users_own_file_it_is(self, run: RunDir, tmp_path: Path) -> None:
        canary, own = tmp_path / "touched", tmp_path / "own.toml"
        own.write_text(over_ssh(tmp_path, canary, "ProxyCommand"))
        command("app", "check", "--run-dir", str(run.path), "--config", str(own))
        assert canary.exists()

    def test_not_by_a_link_of_the_users_file_into_the_run(
        self, run: RunDir, tmp_path: Path
    ) -> None:
        canary, here = tmp_path / "touched", tmp_path / "here"
        (run.path / NAME).write_text(over_ssh(run.path, canary, "ProxyCommand"))
        here.mkdir()
        (here / NAME).symlink_to(run.path / NAME)
        told = command("app", "check", "--run-dir", str(run.path), cwd=here)
        assert not canary.exists(), told.stdout

    def test_by_what_lies_deeper_in_the_run(self, run: RunDir, tmp_path: Path) -> None:
        canary, inner = tmp_path / "touched", run.path / "inner"
        inner.mkdir()
        (inner / NAME).write_text(over_ssh(inner, canary, "ProxyCommand"))
        told = command("app", "check", "--run-dir", str(run.path), cwd=inner)
        assert not canary.exists(), told.stdout
        assert PUT_IT in told.stdout

    @pytest.mark.parametrize("named", ["by the file", "by the user", "not at all"])
    def test_by_what_lies_deeper_whatever_run_is_named(
        self, run: RunDir, tmp_path: Path, named: str
    ) -> None:
        canary, inner = tmp_path / "touched", run.path / "checkpoints" / "best"
        inner.mkdir(parents=True)
        elsewhere = f"run_dir = {str(tmp_path / 'other')!r}\n" if named == "by the file" else ""
        (inner / NAME).write_text(elsewhere + over_ssh(inner, canary, "ProxyCommand"))
        flags = ["--run-dir", str(tmp_path / "other")] if named == "by the user" else []
        told = command("app", "check", *flags, cwd=inner)
        assert not canary.exists(), told.stdout
        assert PUT_IT in told.stdout

    def test_what_the_users_home_holds_makes_no_run_of_all_below_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        home = tmp_path / "me"
        (home / "logs" / "metrics").mkdir(parents=True)
        monkeypatch.setenv("HOME", str(home))
        project = home / "project"
        project.mkdir()
        (project / NAME).write_text("port = 9000\n")
        settings = load_settings({"run_dir": "runs/a"}, working_dir=project)
        assert (settings.port, settings.left_out) == (9000, ())


@pytest.mark.parametrize(
    "server",
    [
        ["uvicorn", "app.server:app", "--port", "{port}"],
        ["streamlit", "run", str(ROOT / "app" / "server.py"), "--server.port", "{port}"],
        ["app", "--port", "{port}"],
    ],
    ids=["uvicorn", "streamlit", "app"],
)
def test_whoever_serves_the_app_and_stands_in_the_run_gets_nothing_of_it(
    run: RunDir, tmp_path: Path, server: list[str]
) -> None:
    canary, log, port = tmp_path / "touched", tmp_path / "app.log", free_port()
    (run.path / NAME).write_text('host = "0.0.0.0"\n' + over_ssh(run.path, canary, "ProxyCommand"))
    # What Streamlit itself would take from there: an environment, addresses of fonts.
    (run.path / ".streamlit").mkdir()
    (run.path / ".streamlit" / "secrets.toml").write_text(f'HTTPS_PROXY = "http://{SECRET}"\n')
    (run.path / ".streamlit" / "config.toml").write_text(
        f'[theme]\nheadingFont = "Evil:http://{SECRET}.invalid/x.css"\n'
        "[server]\nenableXsrfProtection = false\n"
    )
    arguments = [each.format(port=port) for each in server]
    with process(arguments, log=log, cwd=run.path, env={"PYTHONPATH": str(ROOT)}) as started:
        address = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            assert started.poll() is None, log.read_text()
            try:
                with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2) as answer:
                    return bool(answer.status == 200)
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                return False

        wait_until(answers, what=f"an answer from {address}")
        told = system(address)
        assert any("host" in problem and PUT_IT in problem for problem in told["settings_problems"])
        assert "trap" not in [machine["name"] for machine in told["machines"]]
        assert f"0100007F:{port:04X}" in _listens(started.pid)
        assert f"00000000:{port:04X}" not in _listens(started.pid)
        if server[0] == "app":
            assert Path(f"/proc/{started.pid}/cwd").readlink() == ROOT
    assert not canary.exists()


def test_streamlit_takes_neither_options_nor_an_environment_from_where_one_stands(
    run: RunDir, tmp_path: Path
) -> None:
    (run.path / ".streamlit").mkdir()
    (run.path / ".streamlit" / "secrets.toml").write_text(f'CANARY = "{SECRET}"\n')
    (run.path / ".streamlit" / "config.toml").write_text(
        "[server]\nenableXsrfProtection = false\nmaxUploadSize = 77\n"
    )
    script = run.path / "look.py"
    script.write_text(
        "import json, os, app.server, streamlit.config as config\n"
        "from streamlit.web.server.server_util import get_cookie_secret\n"
        "app.server.app\n"
        "get_cookie_secret()  # as the server does when it is built\n"
        "names = ['server.enableXsrfProtection', 'server.maxUploadSize']\n"
        "names += ['server.fileWatcherType']\n"
        "print(json.dumps([*map(config.get_option, names), os.environ.get('CANARY')]))\n"
    )
    told = command("look", cwd=run.path)
    assert json.loads(told.stdout) == [True, 200, "none", None], told.stderr


def _listens(pid: int) -> list[str]:
    """The addresses that TCP listens on, as the kernel writes them."""
    lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    return [line.split()[1] for line in lines if line.split()[3] == "0A"]


class TestNoFileIsSent:
    def test_to_the_address_of_a_machine(self, run: RunDir, tmp_path: Path) -> None:
        with listening() as (url, asked):
            (run.path / NAME).write_text(over_http(tmp_path, url))
            told = command("app", "check", "--run-dir", str(run.path))
            assert asked == [], told.stdout
            with serving_app(run.path, tmp_path / "app.log") as address:
                system(address)
            assert asked == []

    def test_but_by_the_users_own_file_it_is(self, run: RunDir, tmp_path: Path) -> None:
        own = tmp_path / "own.toml"
        with listening() as (url, asked):
            own.write_text(over_http(tmp_path, url))
            command("app", "check", "--run-dir", str(run.path), "--config", str(own))
            assert any(SECRET in each for each in asked)

    def test_by_the_preview_runner(self, run: RunDir, tmp_path: Path) -> None:
        (run.checkpoints / "checkpoint-1").mkdir(parents=True)
        with listening() as (url, asked):
            (run.path / PREVIEWS).write_text(asking(run.path, url, key=tmp_path / "key"))
            told = previews(run)
            assert asked == [], told.stderr
            assert told.returncode == 2, "there is nobody to ask"
            assert "server" in told.stderr and "previews.toml" in told.stderr

    def test_from_outside_of_the_run_as_an_example(self, run: RunDir, tmp_path: Path) -> None:
        (run.checkpoints / "checkpoint-1").mkdir(parents=True)
        outside, own = tmp_path / "mine.jsonl", tmp_path / "own.toml"
        outside.write_text(json.dumps({"prompt": SECRET, "golden": "x"}) + "\n")
        (run.path / "link.jsonl").symlink_to(outside)
        os.mkfifo(run.path / "pipe.jsonl")
        (run.path / "inside.jsonl").write_text('{"prompt": "mine", "golden": "x"}\n')
        files = [str(outside), "../mine.jsonl", "link.jsonl", "pipe.jsonl", "inside.jsonl"]
        (run.path / PREVIEWS).write_text(
            "".join(f'[[examples]]\nfile = "{file}"\n' for file in files)
        )
        with listening() as (url, asked):
            own.write_text(f'[server]\nurl = "{url}"\nattempts = 1\n{ONE_ROUND}')
            told = previews(run, "--config", str(own))
            assert asked, told.stderr
        prompts = [json.loads(line)["prompt"] for line in _lines(run, "preview")]
        assert SECRET not in prompts
        assert "link.jsonl" in told.stderr and "pipe.jsonl" in told.stderr


def test_nothing_old_is_packed_or_deleted(run: RunDir, tmp_path: Path) -> None:
    old = run.logs("metrics") / "metrics_2020-01-01.jsonl"
    packed = run.logs("metrics") / "metrics_2020-01-02.jsonl"
    settings = "[retention]\nenabled = true\n"
    old.parent.mkdir(parents=True, exist_ok=True)
    for file in (old, packed):
        file.write_text('{"step": 1, "loss": 1.0}\n')
    (run.path / NAME).write_text(settings)
    with serving_app(run.path, tmp_path / "app.log") as address:
        assert any(
            "retention.enabled" in problem for problem in system(address)["settings_problems"]
        )
    assert old.exists() and packed.exists()

    own = tmp_path / "own.toml"
    own.write_text(settings)
    with serving_app(run.path, tmp_path / "app.log", "--config", str(own)):
        wait_until(lambda: not old.exists(), what="retention by the user's own file")


def test_what_is_only_shown_is_taken(run: RunDir, tmp_path: Path) -> None:
    (run.path / NAME).write_text(
        'port = 1\n[heatmap]\nbin_edges = [0, 7]\n[[history.patterns]]\npattern = "cries"\n'
        "prompts = ['a+!$']\n"
    )
    with serving_app(run.path, tmp_path / "app.log") as address:

        def shown() -> bool:
            with urllib.request.urlopen(f"{address}/api/status/preview", timeout=60) as answer:
                heatmap = json.load(answer)["pattern_heatmap"]
            return bool(heatmap["rows"] == ["cries"] and len(heatmap["cols"]) == 2)

        wait_until(shown, what="the run's own pattern and bins")


def test_a_pattern_that_never_ends_does_not_hold_up_the_app(run: RunDir, tmp_path: Path) -> None:
    (run.path / NAME).write_text(
        "[[history.patterns]]\npattern = \"never\"\nprompts = ['(a+)+$', '(x+x+)+y']\n"
    )
    with serving_app(run.path, tmp_path / "app.log") as address:
        for _ in range(3):
            wait_until(lambda: bool(system(address)["machines"]), what="machines")
        page = f"{address}/api/preview/history"
        wait_until(lambda: _count(page) == 1, what="the history")


def _count(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
            return int(json.load(answer)["total"])
    except urllib.error.HTTPError:
        return -1


def asking(directory: Path, url: str, *, key: Path | None = None, scorer: str = "") -> str:
    """Settings of the preview runner, with one example beside them."""
    (directory / "set.jsonl").write_text(json.dumps({"prompt": "1?", "golden": "x"}) + "\n")
    text = f'[server]\nurl = "{url}"\nattempts = 1\n'
    if key is not None:
        key.write_text(SECRET)
        text += f'api_key_file = "{key}"\n'
    return f'{text}[[examples]]\nfile = "set.jsonl"\n{ONE_ROUND}{scorer}'


def previews(run: RunDir, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    told = ["--run-dir", str(run.path), "--once", *arguments]
    return command("control_room.previews", *told, cwd=cwd)


def _lines(run: RunDir, kind: str) -> list[str]:
    files = sorted(run.path.glob(f"logs/{kind}/*.jsonl"))
    return [line for file in files for line in file.read_text().splitlines()]


class TestNothingOfItIsCalled:
    @pytest.mark.parametrize(
        "scorer", ["timeit.timeit", "os:system", "timeit:timeit", "trap.score", "trap:score"]
    )
    def test_as_a_scorer(self, run: RunDir, tmp_path: Path, scorer: str) -> None:
        (run.checkpoints / "checkpoint-1").mkdir(parents=True)
        canary, own = tmp_path / "touched", tmp_path / "own.toml"
        touch = f"import pathlib; pathlib.Path({str(canary)!r}).touch()"
        (run.path / "trap.py").write_text(touch + "\ndef score(golden, answer): return True\n")
        golden = touch if "timeit" in scorer else f"touch {canary}"
        entry = f'[[scoring]]\ndatasets = ["*"]\nscorer = "{scorer}"\n'
        with answering("x") as url:
            (run.path / PREVIEWS).write_text(asking(run.path, url, scorer=entry))
            (run.path / "set.jsonl").write_text(json.dumps({"prompt": "1?", "golden": golden}))
            own.write_text(
                f'[server]\nurl = "{url}"\n[checkpoints]\nsettle_s = 0\n[eval]\nevery = 0\n'
            )
            told = previews(run, "--config", str(own), cwd=run.path)
        assert not canary.exists()
        assert "numeric" in told.stderr, "which can be named there"
        assert len(_lines(run, "preview")) == 2, "the answer is scored as if nothing stood there"

    def test_as_a_scorer_but_by_the_users_own_file_it_is(self, run: RunDir, tmp_path: Path) -> None:
        (run.checkpoints / "checkpoint-1").mkdir(parents=True)
        canary, own = tmp_path / "touched", tmp_path / "own.toml"
        golden = f"import pathlib; pathlib.Path({str(canary)!r}).touch()"
        with answering("pass") as url:
            own.write_text(
                asking(tmp_path, url) + '[[scoring]]\ndatasets = ["*"]\nscorer = "timeit.timeit"\n'
            )
            (tmp_path / "set.jsonl").write_text(json.dumps({"prompt": "1?", "golden": golden}))
            previews(run, "--config", str(own))
        assert canary.exists()

    def test_by_what_waits_in_the_queue(self, run: RunDir, tmp_path: Path) -> None:
        canary, own = tmp_path / "touched", tmp_path / "own.toml"
        (run.checkpoints / "checkpoint-1").mkdir(parents=True)
        queue = SqliteHuey("control-room-run", filename=str(_queue_file(run)), results=False)
        queue.storage.enqueue(pickle.dumps(Touch(canary)), 9)
        queue.storage.put_data("rt:round", pickle.dumps(Touch(canary)))
        queue.storage.enqueue(b'["a", {"not": "a round"}]', 9)
        queue.storage.close()
        with answering("x") as url:
            own.write_text(asking(tmp_path, url))
            told = previews(run, "--config", str(own))
        assert not canary.exists(), told.stderr
        assert (told.returncode, len(_lines(run, "preview"))) == (0, 2), "and the round is done"

    @pytest.mark.parametrize("trap", ["view", "trigger"])
    def test_by_what_a_database_of_its_is_made_of(
        self, run: RunDir, tmp_path: Path, trap: str
    ) -> None:
        (run.checkpoints / "checkpoint-1").mkdir(parents=True)
        never = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"
        own = tmp_path / "own.toml"
        statement = (
            "CREATE VIEW task AS " + never.format("i AS id, '' AS queue, '' AS data, 0 AS priority")
            if trap == "view"
            else "CREATE TABLE task (id integer not null primary key, queue text, data blob, "
            "priority real); CREATE TRIGGER t AFTER INSERT ON task BEGIN SELECT max(i) FROM "
            f"({never.format('i')}); END"
        )
        for file in (_queue_file(run), run.cache / "machines.sqlite"):
            with closing(sqlite3.connect(file)) as database:
                database.executescript(statement)
        with answering("x") as url:
            own.write_text(asking(tmp_path, url))
            assert previews(run, "--config", str(own)).returncode == 0
        assert len(_lines(run, "preview")) == 2

    @pytest.mark.parametrize(
        "trap",
        [
            "ALTER TABLE previews RENAME TO kept; CREATE VIEW previews AS "
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
            "SELECT kept.* FROM kept, n",
            "CREATE MACRO lower(x) AS repeat(x, 1000000000)",
            "CREATE TYPE trap AS ENUM ('a')",
            "CREATE VIEW trap AS SELECT 1; CREATE MACRO duckdb_views() AS TABLE SELECT 1 LIMIT 0; "
            "CREATE MACRO duckdb_functions() AS TABLE SELECT 1 LIMIT 0",
        ],
        ids=["view", "macro", "type", "hidden"],
    )
    def test_by_what_the_kept_history_is_made_of(self, run: RunDir, trap: str) -> None:
        file = run.cache / "history.duckdb"
        HistoryIndex(run, database=file).close()
        with closing(duckdb.connect(str(file))) as database:
            database.execute(trap)
        file.with_name(f"{file.name}.seal").unlink()
        with HistoryIndex(run, database=file) as index:
            assert index.damage is not None and "does not put there" in index.damage
            index.refresh()
            assert index.cursor().execute("SELECT count(*) FROM previews").fetchone() == (1,)
        with HistoryIndex(run, database=file) as index:
            assert index.damage is None, "and then it is its own again"

    def test_as_a_checkpoint_elsewhere(self, run: RunDir, tmp_path: Path) -> None:
        run.checkpoints.mkdir()
        names = ["../../evil", "/etc", "..", "checkpoint-7", "a\nb"]
        told = {"checkpoints": [{"step": 7, "name": name} for name in names]}
        run.retention_index_file.write_text(json.dumps(told))
        assert [each.name for each in find_checkpoints(run)] == ["checkpoint-7"]


class Touch:
    """Its pickle is a call of this process's own choice."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self._file}",)


def _queue_file(run: RunDir) -> Path:
    run.cache.mkdir(exist_ok=True)
    return run.cache / "rounds.sqlite"


@contextmanager
def answering(text: str) -> Iterator[str]:
    """A model server that says this to everything."""
    with ModelServer(answer=lambda body: completion(text, model=body["model"])) as server:
        yield server.url


class TestWhatCannotBeReadStopsNothing:
    @pytest.mark.parametrize("name", [NAME, PREVIEWS])
    @pytest.mark.parametrize(
        "content",
        [
            b"port = = 3",
            b"\xff\xfe",
            b"x = " + b"[" * 20_000,
            b"x" * 2**20,
            b".".join([b"a"] * 9_000) + b" = 1",
            b"x = " + b"1" * 50_000,
            b"x = 1979-13-40",
            b"[heatmap]\nfew_samples = 0x" + b"f" * 20_000,
            b"[thresholds]\nram_warning_pct = nan\n"
            + b"\n".join(b"x%d = 1" % n for n in range(999)),
            b"heatmap = 3\nscoring = 3\nexamples = {}\nhistory = []\nliveness = [[]]\n",
            b"[history]\npatterns = [3, {}, {pattern = 'a', prompts = ['(']}, {pattern = 'b', "
            b"prompts = ['(?=x)']}, {linear = false, pattern = 'c', prompts = ['(a+)+$']}]\n",
        ],
        ids=lambda content: repr(content[:12]),
    )
    def test_by_its_content(self, run: RunDir, tmp_path: Path, name: str, content: bytes) -> None:
        (run.path / name).write_bytes(content)
        began_s = time.monotonic()
        told = left_out(run, name, tmp_path)
        assert time.monotonic() - began_s < 20
        assert 1 <= len(told) <= 25
        assert all(len(each) < 1000 and str(run.path / name) in each for each in told)

    @pytest.mark.parametrize("name", [NAME, PREVIEWS])
    @pytest.mark.parametrize("kind", ["pipe", "device", "link", "directory", "circle"])
    def test_by_its_kind(self, run: RunDir, tmp_path: Path, name: str, kind: str) -> None:
        file, outside = run.path / name, tmp_path / "outside.toml"
        outside.write_text("[heatmap]\nfew_samples = 1\n[[examples]]\nfile = 'x'\n")
        match kind:
            case "pipe":
                os.mkfifo(file)
            case "device":
                file.symlink_to("/dev/zero")
            case "link":
                file.symlink_to(outside)
            case "directory":
                file.mkdir()
            case "circle":
                file.symlink_to(file)
        (told,) = left_out(run, name, tmp_path)
        assert str(file) in told

    def test_and_what_is_right_beside_it_is_taken(self, run: RunDir, tmp_path: Path) -> None:
        (run.path / NAME).write_text(
            "port = 1\nnonsense = 1\n[thresholds]\nram_warning_pct = 200\ndisk_warning_pct = 40\n"
            "gpu_temp_warning_c = 95\n[liveness]\nmin_s = 5\nnone = 1\n"
            "[[history.patterns]]\npattern = 'a'\nprompts = ['(']\n"
            "[[history.patterns]]\npattern = 'b'\nprompts = ['b']\n"
        )
        settings = load_settings({"run_dir": str(run.path)}, working_dir=tmp_path)
        assert (settings.port, settings.liveness.min_s) == (8501, 5)
        assert [(each.pattern, each.linear) for each in settings.history.patterns] == [("b", True)]
        names = ("port", "nonsense", "ram_warning_pct", "liveness.none", "history.patterns.0")
        for name in (*names, "thresholds"):  # whose two temperatures contradict each other
            assert any(each.startswith(name) or name in each for each in settings.left_out), name

    def test_and_names_cannot_disguise_themselves(self, run: RunDir, tmp_path: Path) -> None:
        (run.path / NAME).write_text(f'"\\u202Eevil\\n" = 1\n"{"x" * 5000}" = 2\n')
        for each in load_settings({"run_dir": str(run.path)}, working_dir=tmp_path).left_out:
            assert each.isprintable() and len(each) < 1000


def left_out(run: RunDir, name: str, tmp_path: Path) -> tuple[str, ...]:
    """What is said of the run's file; the user's own settings are whole."""
    if name == NAME:
        return load_settings({"run_dir": str(run.path)}, working_dir=tmp_path).left_out
    own = tmp_path / "own.toml"
    own.write_text('[server]\nurl = "http://127.0.0.1:1"\n[[examples]]\nfile = "set.jsonl"\n')
    return load_config_for(run, own, working_dir=tmp_path)[1]


def test_other_runs_that_are_looked_at_set_nothing(run: RunDir, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "logs").mkdir(parents=True)
    (other / NAME).write_text("[heatmap]\nfew_samples = 3\n")
    settings = load_settings({"run_dir": str(run.path), "runs": [str(other)]}, working_dir=tmp_path)
    runs = Runs(Monitor(settings))
    try:
        shown = runs.monitor("other")
        assert shown.settings.run_dir == other
        assert shown.settings.heatmap == settings.heatmap
    finally:
        runs.close()
