"""Secrets stay in: canaries in every place where one can stand, searched wherever something shows.

Each canary holds the word CANARY, so that a part of one is found as well.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import pickle
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from app.settings import SettingsError, load_settings
from app.views.health import NOT_READ_YET
from control_room import Recorder
from control_room.client import ApiError, Client
from control_room.previews.config import ConfigError, load_config
from control_room.security.address import Address, BadAddress
from control_room.security.redaction import redacted, shown_url, without
from control_room.security.secret import BadSecret, Secret, read_key
from tests.security.echo_server import EchoServer
from tests.support import ROOT, free_port, serving_app, wait_until

PEM = "-----BEGIN OPENSSH PRIVATE KEY-----\nCANARY\nCANARY\n-----END OPENSSH PRIVATE KEY-----\n"
BASIC = base64.b64encode(b"user:CANARY-pass/word").decode()
ADDRESSES = (
    *("/api/status/live", "/api/status/preview", "/api/status/evals", "/api/status/system"),
    *("/api/openapi.json", "/health", "/metrics", "/status/training_status.json"),
    *("/api/system/history?machine=login", "/api/nothing?token=CANARY-token"),
    *("/api/status/live?api_key=CANARY-key", "/api/preview/history"),
)
PAGES = (
    *("live", "previews", "analytics", "evals", "compare", "stability", "heads", "runs"),
    *("system", "sql"),
)


def leaked(text: str) -> list[str]:
    """Where the canaries are, with what stands around them."""
    found = []
    for canary in ("CANARY", BASIC, BASIC[:12]):
        at = text.find(canary)
        if at >= 0:
            found.append(text[max(0, at - 120) : at + 80])
    return found


@dataclass
class Served:
    """A running app whose machines hold a canary each, in its own way."""

    address: str
    log: Path
    run: Path
    configuration: Path
    environment: dict[str, str]
    error: EchoServer
    model: EchoServer
    elsewhere: EchoServer
    pipe: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("served")
    run = directory / "run"
    with Recorder(run) as recorder:
        recorder.log_config({"hub_token": "hf_CANARYCANARYCANARY", "lr": 1})
        recorder.log_preview(step=1, prompt="p", golden="g", model_answer="a", exact_match=False)
    with ExitStack() as stack:
        error = stack.enter_context(EchoServer("error"))
        model = stack.enter_context(EchoServer("model"))
        elsewhere = stack.enter_context(EchoServer("error"))
        elsewhere_url = f"http://{elsewhere.place}"
        redirecting = stack.enter_context(EchoServer("redirect", elsewhere_url))
        login = "http://user:CANARY-pass%2Fword@"
        pipe = directory / "pipe"
        os.mkfifo(pipe)
        files = {
            "lines": "CANARY-one\nX-Injected: CANARY-two\n",
            "letters": "CANARY-é\n",
            "private": PEM,
            "long": "CANARY" * 5000,
            "good": "CANARY-good-key\n",
            "no_key": "CANARY is no private key\n",
            "no_config": "Host *\n  CANARY\n",
            "no_hosts": "[127.0.0.1]:1 ssh-ed25519 CANARY!\n",
        }
        for name, text in files.items():
            (directory / name).write_text(text)
        machines = [
            *(
                over_http(name, f"http://{error.place}", api_key_file=str(directory / name))
                for name in ("lines", "letters", "private", "long", "good", "pipe")
            ),
            over_http("directory", f"http://{error.place}", api_key_file=str(directory)),
            over_http("login", f"{login}{error.place}/?token=CANARY-token#CANARY-fragment"),
            over_http("told", f"{login}{model.place}", api_key_env="BOX_KEY"),
            over_http("gone", f"{login}127.0.0.1:{free_port()}/?token=CANARY-token"),
            over_http("away", f"{login}{redirecting.place}", api_key_env="BOX_KEY"),
            over_http("tls", f"{login.replace('http', 'https')}{error.place}"),
            over_ssh("no key", key_file=str(directory / "no_key")),
            over_ssh("no config", config_file=str(directory / "no_config")),
            over_ssh("no hosts", known_hosts_file=str(directory / "no_hosts")),
        ]
        configuration = directory / "work"
        configuration.mkdir()
        (configuration / "control_room.toml").write_text(as_toml(machines))
        environment = {
            "BOX_KEY": "CANARY-of-environment",
            "PYTHONPATH": str(ROOT),
            "CONTROL_ROOM_LOG_LEVEL": "debug",
        }
        log = directory / "log"
        flags = ["--set", f"machines={json_toml(machines)}"]
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            address = stack.enter_context(serving_app(run, log, *flags))
        yield Served(
            *(address, log, run, configuration, environment),
            *(error, model, elsewhere, pipe),
        )


def over_http(name: str, url: str, **more: str) -> dict[str, object]:
    return {"name": name, "role": "inference", "http": {"url": url, **more}}


def over_ssh(name: str, **more: str) -> dict[str, object]:
    reached = {"host": "127.0.0.1", "port": 1, "config_file": "/nowhere", "user": "me", **more}
    return {"name": name, "role": "inference", "ssh": reached}


def json_toml(value: object) -> str:
    """An inline value of TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {json_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(json_toml, value)) + "]"
    return json.dumps(value)


def as_toml(machines: list[dict[str, object]]) -> str:
    return f"machines = {json_toml(machines)}\n"


def get(url: str) -> tuple[int, str]:
    """Status and all that came: headers and body."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, f"{answer.headers}{answer.read().decode()}"
    except urllib.error.HTTPError as error:
        with error:
            return error.code, f"{error.headers}{error.read().decode()}"


class TestTheApp:
    def test_the_secrets_are_used(self, served: Served) -> None:
        def came(server: EchoServer, *parts: str) -> bool:
            return any(all(part in each for part in parts) for each in server.came)

        wait_until(lambda: came(served.error, "token=CANARY-token", f"Basic {BASIC}"), 60, "login")
        wait_until(lambda: came(served.error, "Bearer CANARY-good-key"), 60, "the good key")
        key = "X-API-Key: CANARY-of-environment"
        wait_until(lambda: came(served.model, f"Basic {BASIC}", key), 60, "the key and the login")

    def test_no_address_header_or_metric_holds_one(self, served: Served) -> None:
        def tried() -> bool:
            with urllib.request.urlopen(f"{served.address}/api/status/system") as answer:
                machines = json.load(answer)["machines"]
            return all(each["online"] or each["message"] != NOT_READ_YET for each in machines)

        wait_until(tried, 60, "every machine")
        wait_until(lambda: bool(served.model.came), 60, "the model")
        for path in ADDRESSES:
            _, text = get(served.address + path)
            assert not leaked(text.replace("'token'", "").replace("'api_key'", "")), path

    def test_each_bad_key_is_named_by_its_file_and_what_is_wrong(self, served: Served) -> None:
        def told() -> str:
            return get(f"{served.address}/api/status/system")[1]

        for words in (
            "lines has 2 lines",
            "letters has characters that no key has",
            "private holds a certificate or a private key",
            "long cannot be read: is larger than 4 KiB",
            "pipe cannot be read: is a pipe",
            "cannot be read: is a directory",
            "no_config is no configuration of SSH",
            "no_hosts has a line that is no host key",
        ):
            wait_until(lambda words=words: words in told(), 60, words)  # type: ignore[misc]  # bound
        assert f"http://{served.error.place}" in told(), "where it is stays known"

    def test_nothing_is_sent_to_where_a_redirect_leads(self, served: Served) -> None:
        assert served.elsewhere.came == []

    @pytest.mark.browser
    def test_no_page_shows_one(self, served: Served, browser: Browser) -> None:
        context = browser.new_context()
        page = context.new_page()
        for name in PAGES:
            path = "" if name == "live" else name
            page.goto(f"{served.address}/{path}")
            page.locator('[data-testid="stMainBlockContainer"]').first.wait_for(timeout=120_000)
            page.wait_for_timeout(1500)
            assert not leaked(page.content()), name
        context.close()

    def test_the_log_of_all_that_holds_none(self, served: Served) -> None:
        for path in ADDRESSES:
            get(served.address + path)
        log = served.log.read_text()
        assert "DEBUG" in log, "it tells all there is"
        assert not leaked(log)

    def test_check_prints_none(self, served: Served) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "app", "check", "--run-dir", str(served.run)],
            cwd=served.configuration,
            env={**os.environ, **served.environment},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert "login: server" in done.stdout
        assert not leaked(done.stdout + done.stderr)

    def test_no_file_of_the_run_holds_one(self, served: Served) -> None:
        assert not leaked_files(served.run)


def leaked_files(directory: Path) -> list[str]:
    files = [each for each in directory.rglob("*") if each.is_file()]
    assert files
    return [
        f"{file}: {found}"
        for file in files
        for found in leaked(file.read_bytes().decode("utf-8", "replace"))
    ]


class TestSettings:
    @pytest.mark.parametrize(
        "text",
        [
            'machines = [{name="a", role="x", http={url="http://u:CANARY@h/?t=CANARY"}}]',
            'machines = [{name="a", role="inference", http={url="ftp://u:CANARY@h"}}]',
            'machines = [{name="a", role="inference", http={url="http://u:CAN#ARY-CANARY@h"}}]',
            'machines = [{name="a", role="inference", http={url="http://u:CANARY/x@h:80"}}]',
            'machines = [{name="a", role="inference", http="http://u:CANARY@h"}]',
            'machines = [{name="a", role="inference", http={url="http://h", api_key="CANARY"}}]',
            'machines = [{name="a", role="inference", http={url="http://h", '
            'api_key_env="CANARY-1"}}]',
            'machines = [{name="a", role="inference", http={url="http://h", api_key_file="a", '
            'api_key_env="CANARY"}}]',
            'machines = {http = {url = "http://u:CANARY@h"}}',
            'machines = ["http://u:CANARY@h"]',
            'api_key = "CANARY"',
            'token = ["CANARY"]',
            'log_level = "http://u:CANARY@h/?token=CANARY"',
            'log_level = "Bearer CANARY-12345678"',
            'runs = "http://u:CANARY@h"\nport = {password = "CANARY"}',
            'password = "CANARY',
            "a = CANARY",
        ],
    )
    def test_an_error_of_the_settings_quotes_none(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "control_room.toml"
        file.write_text(text + "\n")
        with pytest.raises(SettingsError) as caught:
            load_settings(config=file, working_dir=tmp_path)
        assert not leaked(str(caught.value))
        of_a_run = load_settings({"run_dir": str(tmp_path)}, working_dir=tmp_path).left_out
        assert of_a_run and not leaked(" ".join(of_a_run))
        assert caught.value.__cause__ is None and caught.value.__suppress_context__

    def test_nor_does_one_of_the_environment_or_a_flag(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CONTROL_ROOM_MACHINES", '[{"http": "http://u:CANARY@h"')
        with pytest.raises(SettingsError, match="machines") as caught:
            load_settings(working_dir=tmp_path)
        assert not leaked(str(caught.value))
        done = subprocess.run(
            [sys.executable, "-m", "app", "--set", "token CANARY"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 2
        assert not leaked(done.stderr + done.stdout)

    @pytest.mark.parametrize(
        "text",
        [
            '[server]\nurl = "http://u:CANARY@h:x"',
            '[server]\nurl = "http://u:CANARY/@h"\napi_key = "CANARY"',
            '[server]\nurl = "http://h"\n[queue]\nredis_url = "redis://:CAN#ARY-CANARY@h:1"',
            '[server]\nurl = "http://h"\n[queue]\nredis_url = "CANARY"',
            '[server]\nurl = "CANARY',
        ],
    )
    def test_nor_one_of_the_runners_settings(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "previews.toml"
        file.write_text(f'{text}\n[[examples]]\nfile = "CANARY"\n' if text[-1] == '"' else text)
        with pytest.raises(ConfigError) as caught:
            load_config(file)
        assert not leaked(str(caught.value))

    def test_settings_that_are_printed_show_none(self, tmp_path: Path) -> None:
        url = "http://user:CANARY@host/?token=CANARY"
        machines = [over_http("a", url)]
        assert not leaked(repr(load_settings({"machines": machines}, working_dir=tmp_path)))


class TestTheRunner:
    @pytest.mark.parametrize("manner", ["error", "answer", "redirect"])
    def test_neither_its_output_nor_the_run_holds_one(self, tmp_path: Path, manner: str) -> None:
        run, key = a_run(tmp_path), tmp_path / "key"
        key.write_text("CANARY-good-key\n")
        with EchoServer("error") as elsewhere:
            with EchoServer(manner, f"http://{elsewhere.place}") as server:  # type: ignore[arg-type]  # of the parameters
                url = f"http://user:CANARY-pass%2Fword@{server.place}/?token=CANARY-token"
                settings = f'url = "{url}"\napi_key_file = "{key}"\nattempts = 1'
                done = asked_once(run, settings)
            assert elsewhere.came == []
        assert any(f"Basic {BASIC}" in each and "CANARY-good-key" in each for each in server.came)
        assert not leaked(done.stdout + done.stderr)
        assert not leaked_files(run)
        assert list(run.glob("logs/*/*.jsonl")), "it has logged what came of it"

    @pytest.mark.parametrize("content", ["CANARY\nCANARY\n", "CANARY-é", PEM, ""])
    def test_a_key_that_cannot_be_used_ends_the_round_unquoted(
        self, tmp_path: Path, content: str
    ) -> None:
        run, key = a_run(tmp_path), tmp_path / "key"
        key.write_text(content)
        done = asked_once(run, f'url = "http://127.0.0.1:1"\napi_key_file = "{key}"')
        (log,) = run.glob("logs/round/*.jsonl")
        assert str(key) in log.read_text()
        assert not leaked(done.stdout + done.stderr) and not leaked_files(run)

    def test_the_password_of_the_queue_is_in_no_traceback(self, tmp_path: Path) -> None:
        pytest.importorskip("redis")
        run = a_run(tmp_path)
        url = f"redis://user:CANARY-password@127.0.0.1:{free_port()}/0"
        done = asked_once(run, 'url = "http://127.0.0.1:1"', f'[queue]\nredis_url = "{url}"\n')
        assert done.returncode != 0
        assert not leaked(done.stdout + done.stderr) and not leaked_files(run)


def a_run(directory: Path) -> Path:
    run = directory / "run"
    (run / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    (run / "set.jsonl").write_text('{"id": "1", "prompt": "p", "golden": "g"}\n')
    return run


def asked_once(run: Path, server: str, more: str = "") -> subprocess.CompletedProcess[str]:
    own = run.parent / "previews.toml"
    own.write_text(
        f'[server]\n{server}\nlongest_pause_s = 0.1\n[[examples]]\nfile = "run/set.jsonl"\n'
        f"[checkpoints]\nsettle_s = 0\n[preview]\ndeadline_s = 20\n[eval]\nevery = 0\n{more}"
    )
    return subprocess.run(
        [
            *(sys.executable, "-m", "control_room.previews", "--run-dir", str(run)),
            *("--config", str(own), "--once"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


class TestTheRecorder:
    SETTINGS = {  # noqa: RUF012  # read only
        "hub_token": "hf_CANARYCANARYCANARY",
        "wandb_api_key": "CANARY",
        "password": "CANARY",
        "aws_secret_access_key": "CANARY",
        "data": "https://user:CANARY@host/data.jsonl?X-Amz-Signature=CANARY",
        "args": argparse.Namespace(hub_token="hf_CANARY", lr=1),
        "nested": {"api_key": "CANARY", "lr": 1},
        "command": "train.py --api-key CANARY --token=CANARY --lr 1",
        "note": "use sk-CANARYCANARYCANARY or hf_CANARYCANARYCANARY",
    }
    KEPT = {"max_new_tokens": 5, "pad_token": "<pad>", "token_count": 7, "lr": 0.1, "key_dim": "64"}  # noqa: RUF012  # as above

    def test_keeps_settings_and_no_secrets(self, tmp_path: Path) -> None:
        with Recorder(tmp_path / "run") as recorder:
            recorder.log_config({**self.SETTINGS, **self.KEPT})
        told = json.loads((tmp_path / "run/status/training_status.json").read_text())["config"]
        assert not leaked_files(tmp_path / "run")
        assert {name: told[name] for name in self.KEPT} == self.KEPT
        assert told["hub_token"] == "***", "that there is one is kept"

    def test_a_crash_and_a_refused_config_hold_none(self, tmp_path: Path) -> None:
        with pytest.warns() as warned:
            recorder = Recorder(tmp_path / "run")
            recorder.log_config(argparse.Namespace(hub_token="CANARY" * 20, lr=1))  # type: ignore[arg-type]  # the mistake
            recorder.mark_crashed(OSError("401: https://user:CANARY@hub/x?token=CANARY"))
            recorder.close()
        assert not leaked_files(tmp_path / "run")
        assert not leaked(" ".join(str(each.message) for each in warned))


class TestLogsAndCrashes:
    CODE = """
import logging, sys, threading
sys.path.insert(0, {root!r})
from control_room.security.quiet_logs import keep_secrets_out_of_logs
from control_room.security.secret import Secret
logging.basicConfig(level="DEBUG")
import uvicorn.logging
access = logging.getLogger("uvicorn.access")
handler = logging.StreamHandler()
form = '%(client_addr)s "%(request_line)s" %(status_code)s'
handler.setFormatter(uvicorn.logging.AccessFormatter(form))
access.addHandler(handler)
keep_secrets_out_of_logs()
key = Secret("CANARY-1234")
path = "/api?token=CANARY&limit=3"
access.info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", path, "1.1", 200)
logging.info("asked http://user:CANARY@host/x?y=CANARY#CANARY and %s", key.reveal())
logging.debug("headers %r", [(b"Authorization", b"Bearer CANARY"), (b"X-API-Key", b"CANARY")])
logging.debug("Authorization: Basic Q0FOQVJZ and Bearer CANARY-99999")
try:
    raise ValueError("Illegal header value b'CANARY-1234'")
except ValueError:
    logging.exception("broke %(password)s", {{"password": "password=CANARY"}})
def broken(): raise RuntimeError("token=CANARY")
thread = threading.Thread(target=broken); thread.start(); thread.join()
raise SystemError(f"redis://:CANARY@host {{key.reveal()}}")
"""

    def test_hold_none_whoever_writes_them(self) -> None:
        code = self.CODE.format(root=str(ROOT))
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
        )
        written = "\n".join(
            line for line in done.stderr.splitlines() if not line.lstrip().startswith("raise")
        )
        assert "SystemError: redis://***@host ***" in written
        assert 'GET /api?token=***&limit=3 HTTP/1.1" 200' in written
        assert "RuntimeError: token=***" in written and "Illegal header value" in written
        assert "http://***@host/x?***" in written
        lines = [line for line in written.splitlines() if "def broken" not in line]
        assert not leaked("\n".join(lines))

    def test_an_error_of_a_page_tells_where_and_not_what(self) -> None:
        assert 'showErrorDetails = "stacktrace"' in (ROOT / ".streamlit/config.toml").read_text()


class TestTheClient:
    def test_a_login_is_sent_and_not_shown(self) -> None:
        with EchoServer("error") as server:
            client = Client(f"http://user:CANARY-pass%2Fword@{server.place}")
            with pytest.raises(ApiError) as caught:
                client.live()
        assert f"Basic {BASIC}" in server.came[0]
        assert not leaked(str(caught.value))

    def test_it_does_not_follow_a_redirect_elsewhere(self) -> None:
        with EchoServer("error") as other:
            with (
                EchoServer("redirect", f"http://{other.place}") as server,
                pytest.raises(ApiError) as caught,
            ):
                Client(f"http://user:CANARY-pass%2Fword@{server.place}").live()
            assert not any(leaked(each) for each in other.came)
        assert not leaked(str(caught.value))

    @pytest.mark.parametrize(
        "address",
        ["http://u:CANARY@h:x", "ftp://u:CANARY@h", "http://u:CAN@ARY-CANARY@127.0.0.1:1"],
    )
    def test_an_address_that_is_none_is_not_quoted(self, address: str) -> None:
        with pytest.raises(ApiError) as caught:
            Client(address, timeout_s=1).live()
        assert not leaked(str(caught.value))


class TestTheTypes:
    def test_a_secret_is_shown_nowhere(self) -> None:
        secret = Secret("CANARY")
        assert not leaked(f"{secret} {secret!r} %s {[secret]}" % secret)
        with pytest.raises(TypeError):
            pickle.dumps(secret)
        assert secret.reveal() == "CANARY" and secret == Secret("CANARY")

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("http://host:80/a", "http://host:80/a"),
            ("http://user:CANARY@host:80/a?b=CANARY#CANARY", "http://***@host:80/a?***"),
            ("redis://:CANARY/#?@@host:1/0", "redis://***@host:1/0"),
            ("https://host/#CANARY", "https://host/?***"),
        ],
    )
    def test_one_function_shows_addresses(self, url: str, shown: str) -> None:
        assert shown_url(url) == shown
        assert redacted(f"see {url}, please") == f"see {shown}{'' if '?' in shown else ','} please"

    def test_an_address_knows_what_of_it_may_be_shown(self) -> None:
        address = Address.of("http://us%40er:CANARY@host:80/api/?token=CANARY")
        assert str(address) == "http://host:80/api"
        assert address.at("/v1?x=1") == "http://host:80/api/v1?x=1&token=CANARY"
        assert not leaked(repr(address))
        assert address.headers(None)["Authorization"].startswith("Basic ")

    def test_what_only_looks_like_one_stays_in_an_answer(self) -> None:
        body = b'{"user": 1, "v": 1, "password": "pw"}'
        address = Address.of("http://user:pw@host/?v=1")
        assert without(address.secrets(None), body) == body
        spelt = rb'["CANARY-\"\/"]'
        assert without(address.secrets(Secret('CANARY-"/')), spelt) == b'["***"]'

    @pytest.mark.parametrize(
        "url",
        ["", "host:80", "http://", "http://h:99999", "http://u:p@@h", "http://h h", "http://é"],
    )
    def test_what_is_no_address_is_refused(self, url: str) -> None:
        with pytest.raises(BadAddress):
            Address.of(url)

    def test_a_key_is_one_line_of_printable_ascii(self, tmp_path: Path) -> None:
        file = tmp_path / "key"
        for good in ("sk-1234", "sk-1234\n", "  two words \r\n"):
            file.write_text(good)
            assert read_key(file).reveal() == good.strip()
        for bad in ("", "\n", "a\nb", "a\0b", "ü", "x" * 5000, PEM):
            file.write_text(bad)
            with pytest.raises(BadSecret, match=str(file)) as caught:
                read_key(file)
            assert not leaked(str(caught.value))
        with pytest.raises(BadSecret, match="no such file"):
            read_key(tmp_path / "nowhere")
