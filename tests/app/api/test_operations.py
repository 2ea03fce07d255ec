"""Health, Prometheus, the old status file, and the documentation."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from collectors.machines.gpu.reading import GPU_VALUES
from control_room.recording.metrics import METRICS
from tests.support import ROOT, free_port, wait_until

DASHBOARD = ROOT / "deploy" / "grafana-dashboard.json"


def test_health_says_that_the_app_is_well(client: httpx.Client) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    health = answer.json()
    assert (health["status"], health["sampler_alive"], health["history"]) == ("ok", True, "ready")
    assert set(health["sources"]) >= {"training", "previews", "gpu", "host", "history"}


def test_the_old_ui_finds_its_status(client: httpx.Client) -> None:
    status = client.get("/status/training_status.json").json()
    assert (status["status"], status["current_step"], status["loss"]) == ("completed", 29, 0.5)
    assert status["model_name"] == "tiny"


def test_an_unknown_path_is_a_404_in_json(client: httpx.Client) -> None:
    for path in ("/api/nothing", "/api/", "/status/other.json"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"}), path


def test_the_documentation_needs_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/api/docs")
    assert page.status_code == 200
    for address in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert not urlsplit(address).netloc, address
        assert client.get(address).status_code == 200, address


def test_metrics_tell_what_was_logged(client: httpx.Client) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert re.search(r'^control_room_training_step\{run="run"\} 29.0$', answer.text, re.M)
    assert 'control_room_training_status{run="run",status="completed"} 1.0' in answer.text
    assert 'control_room_eval_exact_match_ratio{run="run"} 0.75' in answer.text
    assert "control_room_host_memory_total_bytes" in answer.text
    assert "process_resident_memory_bytes" in answer.text


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian: prometheus)")
def test_promtool_finds_nothing_wrong_with_the_metrics(client: httpx.Client) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=client.get("/metrics").text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs Debian's prometheus")
def test_a_real_prometheus_scrapes_it_without_a_failure(address: str, tmp_path: Path) -> None:
    config = tmp_path / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: control_room\n"
        f"  static_configs: [{{targets: ['{urlsplit(address).netloc}']}}]\n"
    )
    listen = f"127.0.0.1:{free_port()}"
    arguments = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={listen}",
    ]

    def value(query: str) -> float:
        try:
            answer = httpx.get(f"http://{listen}/api/v1/query", params={"query": query})
        except httpx.TransportError:
            return 0.0
        if answer.status_code != 200:  # it is still starting
            return 0.0
        found = answer.json().get("data", {}).get("result", [])
        return float(found[0]["value"][1]) if found else 0.0

    with (tmp_path / "log").open("wb") as log:
        prometheus = subprocess.Popen(arguments, stdout=log, stderr=subprocess.STDOUT)
        try:
            count = 'count_over_time(up{job="control_room"}[1m])'
            wait_until(lambda: value(count) >= 10, 60, "ten scrapes")
            assert value('min_over_time(up{job="control_room"}[1m])') == 1.0
            assert value("control_room_training_step") == 29.0
        finally:
            prometheus.terminate()
            prometheus.wait(timeout=20)


def test_the_dashboard_uses_metrics_that_there_are() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    asked = set(re.findall(r"control_room_\w+", json.dumps(dashboard)))
    source = (ROOT / "app" / "api" / "prometheus.py").read_text()
    names = {f"control_room_{name}" for name in re.findall(r'"([a-z0-9_]+)"', source)}
    names |= {
        f"control_room_preview_{g}_exact_match_ratio" for g in ("regime", "source", "pattern")
    }
    declared = [metric.prometheus for metric in METRICS]
    declared += [value.prometheus for value in GPU_VALUES]
    names |= {f"control_room_{name}" for name in declared if name is not None}
    assert asked
    assert asked <= names
