"""``python -m app``: flags, help, and refusing to start on a wrong setting."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from app.__main__ import main


def test_help_tells_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for text in ("--run-dir", "--port", "CONTROL_ROOM_PORT", "heatmap.bin_edges", "liveness.min_s"):
        assert text in told


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--port", "abc"], "port = 'abc'"),
        (["--set", "intervals.gpu_s=-1"], "intervals.gpu_s = -1"),
        (["--set", "gpu_s"], "--set: expected NAME=VALUE"),
        (["--set", "port.deep=1", "--port", "1"], "port has no settings of its own"),
    ],
)
def test_a_wrong_flag_stops_the_start(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert named in capsys.readouterr().err


def test_a_taken_port_stops_the_start_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["--run-dir", str(tmp_path), "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert str(port) in said
    assert "Choose another with --port" in said
