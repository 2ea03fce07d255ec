"""Inference servers over real HTTP: the daemon trainer's, and those with OpenAI's API."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from collectors.jobs import JobQueue
from collectors.machines.inference_server import ServerWatch
from collectors.machines.server_reading import ServerReading
from control_room.security.address import Address
from control_room.security.secret import Secret, read_key
from tests.collectors.machines.http_stand_in import Answer, HttpServer, answer_json
from tests.support import free_port, wait_until

# As the daemon trainer's server answers.
HEALTH = {
    "status": "ok",
    "gpu": {"available": True, "device_count": 1, "device_name": "NVIDIA GeForce RTX 3090"},
    "active_model": "Qwen3-0.6B",
    "worker_busy": False,
}
GPU = {
    "name": "NVIDIA GeForce RTX 3090",
    "driver_version": "580.95.05",
    "memory_total_mb": 24576,
    "memory_used_mb": 6144,
    "utilization_gpu": 15,
    "utilization_mem": 8,
    "temperature_gpu": 42,
    "power_draw_w": 85.3,
    "power_limit_w": 280.0,
    "fan_speed_pct": 30,
}
SYSTEM = {
    "cpu_load": 0.12,
    "ram_used_gb": 8.3,
    "ram_total_gb": 33.4,
    "ram_percent": 25.9,
    "disk": [
        {"mount": "/srv", "used_gb": 45.2, "total_gb": 1000.0, "percent": 4.5},
        {"mount": "/", "used_gb": 120.5, "total_gb": 500.0, "percent": 24.1},
    ],
}
STATS = {"pending": 3, "running": 1, "done": 127, "failed": 2, "jobs_last_hour": 12}


def jobs(status: str, *kinds: str, **more: Any) -> dict[str, Answer]:
    listed = [
        {"id": f"{status}-{n}", "type": kind, "status": status, **more}
        for n, kind in enumerate(kinds)
    ]
    limit = 20 if status == "done" else 1000
    return {f"/jobs?status={status}&limit={limit}": answer_json({"jobs": listed})}


def native(**how: Any) -> dict[str, Answer]:
    return {
        "/health": answer_json(HEALTH),
        "/gpu": answer_json(GPU, **how),
        "/system": answer_json(SYSTEM, **how),
        "/jobs/stats": answer_json(STATS, **how),
        "/settings/power_profile": answer_json({"current": "quiet", "profiles": {}}, **how),
        **jobs("pending", "eval", "inference", "eval"),
        **jobs("running", "data_gen"),
        **jobs("failed", "eval", "eval"),
        **jobs(
            "done",
            "eval",
            created_at="2026-01-01T10:00:00",
            completed_at="2026-01-01T10:00:02.500",
        ),
    }


VLLM = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 1.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} 2.0
# HELP vllm:kv_cache_usage_perc KV-cache usage. 1 means 100 percent usage.
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
# HELP vllm:generation_tokens_total Number of generation tokens processed.
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="m"} TOKENS
"""
LLAMA_CPP = """\
# HELP llamacpp:tokens_predicted_total Number of generation tokens processed.
# TYPE llamacpp:tokens_predicted_total counter
llamacpp:tokens_predicted_total TOKENS
# HELP llamacpp:requests_processing Number of requests processing.
# TYPE llamacpp:requests_processing gauge
llamacpp:requests_processing 1
# HELP llamacpp:requests_deferred Number of requests deferred.
# TYPE llamacpp:requests_deferred gauge
llamacpp:requests_deferred 4
"""
TGI = """\
# TYPE tgi_queue_size gauge
tgi_queue_size 5
# TYPE tgi_batch_current_size gauge
tgi_batch_current_size 8
# TYPE tgi_request_generated_tokens histogram
tgi_request_generated_tokens_bucket{le="+Inf"} 3
tgi_request_generated_tokens_sum TOKENS
tgi_request_generated_tokens_count 3
"""
SGLANG = """\
# TYPE sglang:num_running_reqs gauge
sglang:num_running_reqs{model_name="m"} 2.0
# TYPE sglang:num_queue_reqs gauge
sglang:num_queue_reqs{model_name="m"} 1.0
# TYPE sglang:token_usage gauge
sglang:token_usage{model_name="m"} 0.5
# TYPE sglang:generation_tokens_total counter
sglang:generation_tokens_total{model_name="m"} TOKENS
"""


def openai(metrics: str, tokens: int = 1000) -> dict[str, Answer]:
    models = {"object": "list", "data": [{"id": "qwen3-step-5000"}, {"id": "a-lora"}]}
    return {
        "/health": Answer(b""),
        "/v1/models": answer_json(models),
        "/metrics": Answer(metrics.replace("TOKENS", str(tokens)).encode()),
    }


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def serve() -> Iterator[Callable[..., HttpServer]]:
    servers: list[HttpServer] = []

    def start(answers: dict[str, Answer], port: int = 0) -> HttpServer:
        servers.append(HttpServer(answers, port))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


Serve = Callable[..., HttpServer]


def read(server: HttpServer, **how: Any) -> ServerReading:
    watch = ServerWatch(Address.of(server.url), name="box", **how)
    try:
        return watch.read()
    finally:
        watch.close()


class TestTheDaemonTrainersServer:
    def test_tells_gpu_host_model_and_profile_in_our_units(self, serve: Serve) -> None:
        reading = read(serve(native()))
        assert (reading.state, reading.api, reading.problems) == ("ok", "native", ())
        assert reading.active_model == "Qwen3-0.6B"
        assert reading.power_profile == "quiet"
        assert reading.gpus is not None and reading.host is not None
        (gpu,) = reading.gpus.gpus
        assert (gpu.temp_c, gpu.vram_used_gb, gpu.vram_total_gb) == (42, 6, 24)
        assert (gpu.power_w, gpu.power_limit_w, gpu.fan_pct) == (85.3, 280, 30)
        assert reading.host.cpu_pct == 12
        assert reading.host.ram_total_gb == pytest.approx(33.4e9 / 2**30)
        assert str(reading.host.disk_path) == "/"
        assert reading.host.disk_used_gb == pytest.approx(120.5e9 / 2**30)

    def test_counts_jobs_by_kind(self, serve: Serve) -> None:
        assert read(serve(native())).jobs == (
            JobQueue(kind="data_gen", pending=0, running=1, failed=0),
            JobQueue(kind="eval", pending=2, running=0, failed=2, last_latency_ms=2500),
            JobQueue(kind="preview", pending=1, running=0, failed=0),
        )

    def test_without_a_list_of_jobs_their_counts_are_one_queue(self, serve: Serve) -> None:
        answers = {path: answer for path, answer in native().items() if "/jobs?" not in path}
        assert read(serve(answers)).jobs == (JobQueue(kind="all", pending=3, running=1, failed=2),)

    def test_a_key_is_sent_and_one_that_lacks_is_asked_for(self, serve: Serve) -> None:
        server = serve(native(needs="s3cret"))
        with_key = read(server, key=lambda: Secret("s3cret"))
        assert with_key.problems == ()
        without = read(server)
        assert without.state == "ok", "its health needs no key"
        assert without.active_model == "Qwen3-0.6B"
        assert without.gpus is None
        assert all("api_key_file" in problem for problem in without.problems)
        wrong = read(server, key=lambda: Secret("wrong"))
        assert "more rights" in wrong.problems[0]

    def test_a_part_that_fails_leaves_the_others(self, serve: Serve) -> None:
        answers = native()
        answers["/gpu"] = Answer(b'{"detail": "GPU query failed"}', 500)
        answers["/system"] = Answer(b"<html>")
        reading = read(serve(answers))
        assert reading.power_profile == "quiet"
        assert len(reading.problems) == 2
        assert "/gpu answers 500" in reading.problems[0]
        assert "JSON" in reading.problems[1]

    def test_system_holds_the_server_up_and_is_asked_once_a_minute(self, serve: Serve) -> None:
        server, clock = serve(native()), Clock()
        watch = ServerWatch(Address.of(server.url), name="box", clock=clock)
        first = watch.read()
        assert first.host is not None and first.host_at == pytest.approx(time.time(), abs=5)
        for _ in range(11):
            clock.now += 5
            again = watch.read()
            assert (again.host, again.host_at) == (first.host, first.host_at), "as old as it is"
        assert (server.asked["/system"], server.asked["/gpu"]) == (1, 12)
        server.answers["/system"] = answer_json(SYSTEM | {"cpu_load": 0.5})
        clock.now += 5
        later = watch.read()
        assert later.host is not None and later.host.cpu_pct == 50
        assert later.host_at is not None and later.host_at > (first.host_at or 0)
        assert server.asked["/system"] == 2
        watch.close()

    def test_what_is_wrong_with_system_is_told_until_it_is_asked_again(self, serve: Serve) -> None:
        server, clock = serve(native()), Clock()
        watch = ServerWatch(Address.of(server.url), name="box", clock=clock)
        known = watch.read().host
        server.answers["/system"] = Answer(b"", 500)
        for wait_s in (60, 5, 5):
            clock.now += wait_s
            reading = watch.read()
            assert reading.host == known
            assert "/system answers 500" in reading.problems[0]
        assert server.asked["/system"] == 2
        watch.close()

    def test_another_key_is_tried_on_system_at_once(self, serve: Serve) -> None:
        server, keys = serve(native(needs="right")), ["wrong"]
        watch = ServerWatch(
            Address.of(server.url), name="box", key=lambda: Secret(keys[0]), clock=Clock()
        )
        assert watch.read().host is None
        keys[0] = "right"
        assert watch.read().host is not None
        watch.close()

    def test_values_of_a_wrong_kind_are_none(self, serve: Serve) -> None:
        answers = native()
        answers["/gpu"] = answer_json(dict.fromkeys(GPU, "oops") | {"temperature_gpu": True})
        answers["/system"] = answer_json({"cpu_load": None, "disk": {"mount": "/"}})
        answers["/jobs/stats"] = answer_json([1, 2])
        reading = read(serve(answers))
        assert reading.gpus is not None and reading.host is not None
        assert reading.gpus.gpus[0].temp_c is None
        assert (reading.host.cpu_pct, reading.host.disk_total_gb) == (None, None)


class TestServersWithOpenAisApi:
    @pytest.mark.parametrize(
        ("metrics", "server", "running", "waiting", "kv_cache_pct"),
        [
            (VLLM, "vLLM", 4, 2, 25),
            (LLAMA_CPP, "llama.cpp", 1, 4, None),
            (TGI, "TGI", 8, 5, None),
            (SGLANG, "SGLang", 2, 1, 50),
        ],
    )
    def test_tell_model_load_and_speed(
        self,
        serve: Serve,
        metrics: str,
        server: str,
        running: float,
        waiting: float,
        kv_cache_pct: float | None,
    ) -> None:
        http, clock = serve(openai(metrics, 1000)), Clock()
        watch = ServerWatch(Address.of(http.url), name="box", clock=clock)
        first = watch.read()
        assert (first.api, first.server) == ("openai", server)
        assert first.active_model == "qwen3-step-5000"
        assert (first.requests_running, first.requests_waiting) == (running, waiting)
        assert first.kv_cache_pct == kv_cache_pct
        assert first.tokens_per_sec is None, "one look tells no speed"
        clock.now += 5
        http.answers.update(openai(metrics, 1600))
        assert watch.read().tokens_per_sec == 120
        clock.now += 5
        http.answers.update(openai(metrics, 10))
        assert watch.read().tokens_per_sec is None, "it was started anew"
        watch.close()

    def test_without_metrics_the_model_is_still_told(self, serve: Serve) -> None:
        answers = openai(LLAMA_CPP)
        answers["/health"] = answer_json({"status": "ok"})
        answers["/metrics"] = Answer(b"", 501)
        reading = read(serve(answers))
        assert (reading.state, reading.active_model) == ("ok", "qwen3-step-5000")
        assert "--metrics" in reading.problems[0]

    def test_metrics_of_another_kind_do_no_harm(self, serve: Serve) -> None:
        for text in (b"process_cpu_seconds_total 3\n", b"{]}", b"\xff\xfe", b"x NaN\n"):
            answers = openai(VLLM)
            answers["/metrics"] = Answer(text)
            reading = read(serve(answers))
            assert reading.state == "ok"
            assert reading.requests_running is None


class TestTrouble:
    def test_nobody_listens(self) -> None:
        reading = ServerWatch(Address.of(f"http://127.0.0.1:{free_port()}"), name="box").read()
        assert reading.state == "unreachable"
        assert "refused" in str(reading.message)

    def test_neither_api(self, serve: Serve) -> None:
        reading = read(serve({}))
        assert reading.state == "error"
        assert "/v1/models answers 404" in str(reading.message)

    def test_it_accepts_and_never_answers(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            reading = ServerWatch(Address.of(url), name="box", timeout_s=0.3).read()
        assert reading.state == "timeout"
        assert "0.3 s" in str(reading.message)

    def test_a_late_part_is_waited_for_once_not_per_part(self, serve: Serve) -> None:
        server = serve(native(delay_s=30))
        reading = read(server, timeout_s=0.3)
        assert reading.state == "timeout"
        assert sum(server.asked.values()) == 2, "its health, and the first part"

    def test_an_answer_that_drips_is_late(self, serve: Serve) -> None:
        reading = read(serve({"/health": answer_json(HEALTH, drip_s=0.1)}), timeout_s=0.5)
        assert reading.state == "timeout"

    def test_an_endless_answer_is_cut_off(self, serve: Serve) -> None:
        server = serve({"/health": Answer(b"x" * (17 * 2**20))})
        assert "without end" in str(read(server, api="native", timeout_s=20).message)

    def test_it_goes_away_and_comes_back(self, serve: Serve) -> None:
        server = serve(native())
        watch = ServerWatch(Address.of(server.url), name="box")
        seen_at = watch.read().answered_at
        server.stop()
        gone = watch.read()
        assert gone.state == "unreachable"
        assert gone.answered_at == seen_at
        serve(native(), port=server.port)
        wait_until(lambda: watch.read().state == "ok", 10, "its return")
        watch.close()

    def test_a_key_that_cannot_be_read_is_named(self, serve: Serve) -> None:
        reading = read(serve(native()), key=lambda: read_key(Path("/keys/box")))
        assert reading.state == "auth_failed"
        assert "/keys/box" in str(reading.message)

    def test_a_redirect_is_not_followed_with_the_key(self, serve: Serve) -> None:
        other = serve(native())
        server = serve({"/health": Answer(b"", 302)})
        assert read(server, key=lambda: Secret("s3cret"), api="native").state == "error"
        assert not other.asked
