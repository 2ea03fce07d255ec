"""``python -m app check``: what works, what is not there, what is to be mended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.__main__ import main
from control_room import Recorder
from control_room.recording.recorder_warning import RecorderWarning
from tests.collectors.machines.http_stand_in import HttpServer
from tests.collectors.machines.ssh import outputs
from tests.collectors.machines.ssh.sshd import Sshd, sshd_missing
from tests.collectors.machines.test_inference_server import native
from tests.support import free_port


def run_check(run_dir: Path, machines: list[object]) -> int:
    toml = f"machines={json.dumps(machines).replace(': ', ' = ')}"
    return main(["check", "--run-dir", str(run_dir), "--set", toml])


def test_a_run_that_is_not_there_yet_is_nothing_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--run-dir", str(tmp_path / "none")]) in (0, 1)  # this machine's GPU
    told = capsys.readouterr().out
    assert "○ run directory" in told
    assert ": host: " in told
    assert not (tmp_path / "none").exists()


@pytest.mark.skipif(sshd_missing() is not None, reason=sshd_missing() or "")
def test_every_source_is_tried_and_what_is_wrong_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "run"
    with Recorder(run_dir) as recorder:
        recorder.update_status(status="training", current_step=1)
        recorder.log_metrics(step=1, loss=0.5)
    sshd, web = Sshd(tmp_path / "sshd"), HttpServer(native(needs="key"))
    try:
        sshd.gpus(outputs.RTX_3090)
        ssh = {
            "host": "127.0.0.1",
            "port": sshd.port,
            "key_file": str(sshd.key),
            "known_hosts_file": str(sshd.known_hosts),
        }
        well = {"name": "well", "role": "inference", "ssh": ssh}
        keyless = {"name": "keyless", "role": "inference", "http": {"url": web.url}}
        gone = {"name": "gone", "role": "inference", "ssh": {**ssh, "port": free_port()}}
        assert run_check(run_dir, [well]) == 0
        told = capsys.readouterr().out
        assert "✓ training state:" in told
        assert "✓ metrics log: 1 days" in told
        assert "○ preview log" in told
        assert "✓ well: GPU: NVIDIA GeForce RTX 3090" in told
        assert run_check(run_dir, [well, keyless, gone]) == 1
        told = capsys.readouterr().out
        assert "✓ keyless: server: the daemon trainer's, model Qwen3-0.6B" in told
        assert "✕ keyless: server:" in told and "api_key_file" in told
        assert "✕ gone: SSH: unreachable" in told
    finally:
        sshd.stop()
        web.stop()


def test_what_a_recorder_refused_is_told_where_there_is_any(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = Recorder(tmp_path)
    recorder.update_status(current_step=1)
    main(["check", "--run-dir", str(tmp_path)])
    assert "refused records" not in capsys.readouterr().out
    with pytest.warns(RecorderWarning):
        recorder.log_metrics(step="two")  # type: ignore[call-overload]  # meant
    assert main(["check", "--run-dir", str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert "✕ training state: 1 record was refused (1 metrics)" in told
    assert f"○ refused records: 1 days in {tmp_path / 'logs' / 'refused'}" in told


def test_a_link_that_leads_out_says_where_to_name_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk, run = tmp_path / "disk", tmp_path / "run"
    Recorder(disk).log_metrics(step=1, loss=0.5)
    run.mkdir()
    (run / "logs").symlink_to(disk / "logs")
    assert main(["check", "--run-dir", str(run)]) == 1
    told = capsys.readouterr().out
    assert f"✕ metrics log: {run / 'logs' / 'metrics'} cannot be read: a link leads out" in told
    assert "follow_links of your own control_room.toml" in told
    assert "symbolic links" not in told
