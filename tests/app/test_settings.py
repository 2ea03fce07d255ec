"""Settings: defaults, file, environment, flags, in that order; a wrong one is named."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import SettingsError, load_settings
from control_room.security.secret import Secret
from tests.support import ROOT

BOX = {"name": "box", "role": "inference", "ssh": {"host": "box"}}


def write(directory: Path, text: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "control_room.toml").write_text(text)


def test_defaults(tmp_path: Path) -> None:
    settings = load_settings(working_dir=tmp_path)
    assert settings.run_dir == tmp_path.resolve()
    assert (settings.host, settings.port) == ("127.0.0.1", 8501)
    assert settings.heatmap.bin_edges == (0, 50, 100, 200)
    assert (settings.heatmap.green_above, settings.heatmap.yellow_above) == (0.8, 0.6)


def test_each_layer_overrides_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, home = tmp_path / "run", tmp_path / "home"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    write(run, "[thresholds]\nram_warning_pct = 50\ndisk_warning_pct = 51\n")
    write(
        home / "control-room",
        "port = 1001\nlog_level = 'debug'\n[thresholds]\ndisk_warning_pct = 52\n",
    )
    write(tmp_path, 'run_dir = "run"\nport = 1002\n[intervals]\ngpu_s = 9\nhost_s = 8\n')
    settings = load_settings(working_dir=tmp_path)
    assert (settings.run_dir, settings.port, settings.log_level) == (run.resolve(), 1002, "debug")
    assert (settings.intervals.gpu_s, settings.intervals.host_s) == (9, 8)
    assert settings.thresholds.ram_warning_pct == 50, "the run's own"
    assert settings.thresholds.disk_warning_pct == 52, "the user's word is above the run's"

    monkeypatch.setenv("CONTROL_ROOM_PORT", "1003")
    monkeypatch.setenv("CONTROL_ROOM_INTERVALS__GPU_S", "7")
    settings = load_settings(working_dir=tmp_path)
    assert (settings.port, settings.intervals.gpu_s, settings.intervals.host_s) == (1003, 7, 8)

    assert load_settings({"port": 1004}, working_dir=tmp_path).port == 1004


def test_the_environment_chooses_the_run_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "elsewhere", "[heatmap]\nfew_samples = 3\n")
    monkeypatch.setenv("CONTROL_ROOM_RUN_DIR", str(tmp_path / "elsewhere"))
    settings = load_settings(working_dir=tmp_path)
    assert settings.run_dir == (tmp_path / "elsewhere").resolve()
    assert settings.heatmap.few_samples == 3


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"port": "abc"}, ["port", "'abc'", "integer"]),
        ({"port": 70000}, ["port", "70000", "65535"]),
        ({"intervals": {"gpu_s": 0}}, ["intervals.gpu_s", "0", "greater than 0"]),
        ({"intervals": {"gpus_s": 1}}, ["intervals.gpus_s", "did you mean intervals.gpu_s"]),
        ({"log_level": "loud"}, ["log_level", "'loud'", "'debug'"]),
        ({"heatmap": {"bin_edges": [9, 3]}}, ["heatmap", "bin_edges must rise"]),
        ({"machines": [{"name": "a", "role": "training"}]}, ["machines.0", "how it is reached"]),
        ({"machines": [BOX, BOX]}, ["machines: two have the same name"]),
        ({"machines": [{**BOX, "ssh": {"host": "a", "prot": 1}}]}, ["machines.0.ssh.prot"]),
        ({"machines": [{**BOX, "role": "gpu"}]}, ["machines.0.role", "'training' or 'inference'"]),
        ({"machines": [{**BOX, "http": {"url": "box:8000"}}]}, ["machines.0.http.url"]),
        ({"machines": [{**BOX, "local": True}]}, ["local or reached over SSH"]),
        ({"thresholds": {"gpu_temp_warning_c": 99}}, ["gpu_temp_warning_c must be below"]),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_what_is_allowed(
    tmp_path: Path, flags: dict[str, object], named: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags, working_dir=tmp_path)
    for part in named:
        assert part in str(caught.value)


def test_the_error_says_where_the_wrong_value_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 'run_dir = "run"\nport = "no"\n')
    with pytest.raises(SettingsError, match=r"port = 'no' \(from .*control_room\.toml\)"):
        load_settings(working_dir=tmp_path)
    monkeypatch.setenv("CONTROL_ROOM_PORT", "nope")
    with pytest.raises(SettingsError, match=r"port = 'nope' \(from the environment\)"):
        load_settings(working_dir=tmp_path)


def test_a_misspelt_environment_variable_is_not_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTROL_ROOM_PROT", "9000")
    with pytest.raises(SettingsError, match="Did you mean CONTROL_ROOM_PORT"):
        load_settings(working_dir=tmp_path)


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    write(tmp_path, "port = = 3")
    with pytest.raises(SettingsError, match=r"control_room\.toml cannot be read"):
        load_settings(working_dir=tmp_path)


def test_a_run_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(SettingsError, match=r"run_dir = .*run': is a file"):
        load_settings({"run_dir": "run"}, working_dir=tmp_path)


def test_without_machines_this_one_is_watched_alone(tmp_path: Path) -> None:
    (machine,) = load_settings({"machine_name": "desk"}, working_dir=tmp_path).watched_machines
    assert (machine.name, machine.role, machine.local) == ("desk", "training", True)


def test_machines_stand_in_the_file_one_table_each(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        run_dir = "run"
        [[machines]]
        name = "trainer"
        role = "training"
        local = true

        [[machines]]
        name = "inference"
        role = "inference"
        ssh = { host = "inference.lan", user = "me", key_file = "~/.ssh/id", disk = "/srv" }
        http = { url = "http://inference.lan:8000", api_key_env = "TEST_BOX_KEY" }
        """,
    )
    trainer, inference = load_settings(working_dir=tmp_path).watched_machines
    assert trainer.local
    assert inference.ssh is not None and inference.http is not None
    target = inference.ssh.target(3.0)
    assert (target.host, target.user, target.port, target.timeout_s) == (
        "inference.lan",
        "me",
        None,
        3.0,
    )
    assert target.verify_host_key, "unless it is switched off"
    assert inference.http.key() is None


def test_keys_are_read_when_they_are_used_and_stand_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_text("s3cret\n")
    machines = [
        {"name": "a", "role": "inference", "http": {"url": "http://a", "api_key_file": str(file)}},
        {"name": "b", "role": "inference", "http": {"url": "http://b", "api_key_env": "BOX_KEY"}},
    ]
    monkeypatch.setenv("BOX_KEY", "t0ken")
    settings = load_settings({"machines": machines}, working_dir=tmp_path)
    of_file, of_environment = (machine.http for machine in settings.machines)
    assert of_file is not None and of_environment is not None
    assert (of_file.key(), of_environment.key()) == (Secret("s3cret"), Secret("t0ken"))
    assert "s3cret" not in repr(settings) and "t0ken" not in repr(settings)


class TestWhoseAFileIs:
    def test_the_named_one_replaces_the_others(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
        write(tmp_path / "home" / "control-room", "port = 1001\n")
        write(tmp_path, 'run_dir = "run"\nlog_level = "debug"\n')
        own = tmp_path / "named.toml"
        own.write_text('host = "127.0.0.2"\n')
        settings = load_settings(config=own, working_dir=tmp_path)
        assert (settings.host, settings.port, settings.log_level) == ("127.0.0.2", 8501, "info")
        monkeypatch.setenv("CONTROL_ROOM_CONFIG", "named.toml")
        assert load_settings(working_dir=tmp_path).host == "127.0.0.2"
        with pytest.raises(SettingsError, match=r"none\.toml.*--config.* is missing"):
            load_settings(config=tmp_path / "none.toml", working_dir=tmp_path)

    def test_a_relative_configuration_directory_counts_for_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(tmp_path / "home" / "control-room", "port = 1001\n")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("XDG_CONFIG_HOME", "home")
        monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
        assert load_settings().port == 8501

    def test_relative_paths_are_taken_from_the_file_that_tells_them(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        home = tmp_path / "home" / "control-room"
        monkeypatch.setenv("XDG_CONFIG_HOME", str(home.parent))
        write(
            home,
            'runs = ["runs/*"]\n[[machines]]\nname = "box"\nrole = "inference"\n'
            'ssh = { host = "box", config_file = "ssh_config", key_file = "~/key" }\n'
            'http = { url = "http://box", api_key_file = "key" }\n',
        )
        here = tmp_path / "here"
        here.mkdir()
        settings = load_settings({"run_dir": "run"}, working_dir=here)
        (box,) = settings.machines
        assert box.ssh is not None and box.http is not None
        assert box.ssh.config_file == home / "ssh_config"
        assert box.ssh.key_file == Path.home() / "key"
        assert box.http.api_key_file == home / "key"
        assert settings.runs == (str(home / "runs/*"),)
        assert settings.run_dir == here / "run", "a flag's are taken from where one stands"

    @pytest.mark.parametrize("told", [None, ".", "run_dir", "link"])
    def test_one_that_lies_in_the_run_is_the_runs(self, tmp_path: Path, told: str | None) -> None:
        run = tmp_path / "run"
        name = 'run_dir = "."\n' if told == "run_dir" else ""
        write(run, f"{name}port = 1\n[heatmap]\nfew_samples = 3\n")
        (tmp_path / "link").symlink_to(run)
        flags = {"run_dir": str(tmp_path / "link")} if told == "link" else {"run_dir": told}
        settings = load_settings(flags if told in (".", "link") else {}, working_dir=run)
        assert (settings.run_dir, settings.port) == (run, 8501)
        assert settings.heatmap.few_samples == 3
        assert any(each.startswith("port in ") for each in settings.left_out)
        named = load_settings({}, config=run / "control_room.toml", working_dir=run)
        assert (named.port, named.left_out) == (1, ()), "--config says otherwise"

    def test_a_working_directory_that_is_a_run_names_no_other(self, tmp_path: Path) -> None:
        run = tmp_path / "run"
        (run / "logs" / "preview").mkdir(parents=True)
        write(run, 'run_dir = "../other"\nport = 1\n')
        settings = load_settings(working_dir=run)
        assert (settings.run_dir, settings.port) == (run, 8501)
        assert len(settings.left_out) == 2

    def test_the_default_run_directory_of_a_clone_is_excepted(self, tmp_path: Path) -> None:
        clone = tmp_path / "clone"
        for part in ("app", "collectors", "control_room", "logs"):
            shutil.copytree(ROOT / part, clone / part, ignore=shutil.ignore_patterns("*.pyc"))
        (clone / "logs" / "preview").mkdir()
        write(clone, 'machine_name = "desk"\n')
        for flags in ([], ["--run-dir", "."]):
            told = subprocess.check_output(
                [sys.executable, "-m", "app", "check", *flags], cwd=clone, text=True
            )
            assert "desk: host" in told and "not taken:" not in told
