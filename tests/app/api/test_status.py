"""The four status views: the expected names and types, ready bytes, nothing sent twice."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.support import wait_until

NUMBER = (int, float, type(None))
WHOLE = (int, type(None))
TEXT = (str, type(None))
GPU = {
    "online": bool,
    **dict.fromkeys(("temp_c", "util_pct", "vram_used_gb", "vram_total_gb", "vram_pct"), NUMBER),
    **dict.fromkeys(("power_w", "power_limit_w", "fan_pct"), NUMBER),
    "power_profile": TEXT,
}
HOST = {
    "online": bool,
    **dict.fromkeys(("cpu_pct", "ram_gb", "ram_total_gb", "disk_used_gb", "disk_total_gb"), NUMBER),
    **dict.fromkeys(("disk_pct", "swap_used_gb", "swap_total_gb"), NUMBER),
}
# What the daemon trainer's pages rely on: name and type, or the words that may stand there.
EXPECTED: dict[str, dict[str, Any]] = {
    "live": {
        "status": {"idle", "training", "paused", "completed", "crashed", None},
        **dict.fromkeys(("current_step", "total_steps"), WHOLE),
        **dict.fromkeys(("epoch", "loss", "streaming_ce", "loss_variance"), NUMBER),
        "loss_trend": {"improving", "stable", "rising", "unknown", None},
        "learning_rate": NUMBER,
        **dict.fromkeys(
            ("batch_step", "batch_total_steps", "batch_number", "batch_queue_size"), WHOLE
        ),
        "current_file": TEXT,
        **dict.fromkeys(("eta_current_file", "eta_overall"), TEXT),
        **dict.fromkeys(
            ("tokens_per_sec", "tokens_per_sec_avg", "tokens_per_sec_baseline"), NUMBER
        ),
        "throughput_trend": {"normal", "degraded", "excellent", None},
        "gpu_4090": GPU,
        "gpu_3090": GPU,
        "ram": {"used_gb": NUMBER, "total_gb": NUMBER, "pct": NUMBER},
        **dict.fromkeys(
            ("current_checkpoint_id", "current_model_name", "latest_snapshot_date"), TEXT
        ),
        "health": {"healthy", "warning", "critical", None},
        "health_issues": list,
        "timestamp": str,
    },
    "preview": {
        "latest_preview": (dict, type(None)),
        **dict.fromkeys(
            ("preview_em_last_20", "preview_em_last_50", "preview_em_last_100"), NUMBER
        ),
        **dict.fromkeys(("domain_stats", "regime_stats", "source_stats"), dict),
        "pending_jobs": WHOLE,
        "last_job_latency_ms": NUMBER,
        "em_trend": list,
        "pattern_heatmap": {"rows": list, "cols": list, "data": list},
        "timestamp": str,
    },
    "evals": {
        **dict.fromkeys(("fixed_eval_em", "fixed_eval_ce", "fixed_eval_ece"), NUMBER),
        "fixed_eval_trend": {"improving", "stable", "declining", "unknown"},
        "fixed_eval_step": WHOLE,
        "fixed_eval_timestamp": TEXT,
        "domain_evals": dict,
        "micro_eval_loss": NUMBER,
        "micro_eval_step": WHOLE,
        **dict.fromkeys(("val_loss", "train_loss", "val_train_gap"), NUMBER),
        "gap_status": {"good", "warning", "overfitting", None},
        "snapshots": list,
        "timestamp": str,
    },
    "system": {
        "system_4090": HOST,
        "system_3090": HOST,
        "machines": list,
        "queues": dict.fromkeys(
            (
                *("preview_jobs_pending", "eval_jobs_pending", "data_gen_jobs_pending"),
                *("training_queue_high", "training_queue_normal", "training_queue_low"),
            ),
            WHOLE,
        ),
        "timestamp": str,
    },
}
HISTORY = {
    "previews": list,
    **dict.fromkeys(("limit", "offset", "count", "total", "total_all"), int),
}
THROUGHPUT = {
    "timestamp": str,
    "step": int,
    **dict.fromkeys(("tokens_per_sec", "vram_used_gb", "vram_pct"), NUMBER),
    **dict.fromkeys(("batch_size", "sequence_length"), WHOLE),
}


def assert_fits(answer: dict[str, Any], fields: dict[str, Any]) -> None:
    for name, expected in fields.items():
        assert name in answer, name
        value = answer[name]
        if isinstance(expected, dict):
            assert_fits(value, expected)
        elif isinstance(expected, set):
            assert value in expected, (name, value)
        else:
            assert isinstance(value, expected), (name, value)
            assert isinstance(value, bool) == (expected is bool), (name, value)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_expected_field_is_there_under_its_name(client: httpx.Client, name: str) -> None:
    assert_fits(client.get(f"/api/status/{name}").json(), EXPECTED[name])


def test_history_and_throughput_fit_the_daemon_trainers_pages(client: httpx.Client) -> None:
    assert_fits(client.get("/api/preview/history").json(), HISTORY)
    samples = client.get("/api/throughput/samples", params={"limit": 5}).json()
    assert samples["count"] == len(samples["samples"]) == 5
    for sample in samples["samples"]:
        assert_fits(sample, THROUGHPUT)


def test_what_was_logged_is_what_is_told(client: httpx.Client) -> None:
    live = client.get("/api/status/live").json()
    assert (live["status"], live["current_step"], live["total_steps"]) == ("completed", 29, 100)
    assert live["latest_snapshot_date"] == "2026-01-03"
    preview = client.get("/api/status/preview").json()
    assert preview["regime_stats"]["regime3"] == {
        **dict.fromkeys(("em", "em_rate"), pytest.approx(1 / 3)),
        **dict.fromkeys(("count", "total"), 15),
    }
    heatmap = preview["pattern_heatmap"]
    assert heatmap["rows"] == ["addition"]
    assert heatmap["cols"] == ["0-50", "50-100", "100-200", "200+"]
    assert heatmap["data"] == [[pytest.approx(1 / 3), None, None, None]]


def test_evals_tell_the_fixed_set_its_domains_and_the_best_snapshot(client: httpx.Client) -> None:
    evals = client.get("/api/status/evals").json()
    assert (evals["fixed_eval_em"], evals["fixed_eval_step"]) == (0.75, 20)
    assert evals["fixed_eval_trend"] == "improving"
    assert evals["fixed_eval_history"] == [[10, 0.5], [20, 0.75]]
    assert evals["domain_evals"]["addition"]["em"] == 0.8
    assert (evals["micro_eval_loss"], evals["micro_eval_step"]) == (0.4, 20)
    assert [(s["date"], s["best"]) for s in evals["snapshots"]] == [
        ("2026-01-03", False),
        ("2026-01-02", True),
        ("2026-01-01", False),
    ]
    assert evals["snapshots"][2]["size_gb"] == 1.0


@pytest.mark.parametrize("name", EXPECTED)
def test_who_has_it_already_is_not_sent_it_again(client: httpx.Client, name: str) -> None:
    def not_modified() -> bool:
        etag = client.get(f"/api/status/{name}").headers["etag"]
        again = client.get(f"/api/status/{name}", headers={"if-none-match": etag})
        return again.status_code == 304 and not again.content

    wait_until(not_modified, 10, "two requests within one tick")


@pytest.mark.parametrize("name", EXPECTED)
def test_plain_and_packed_are_the_same(client: httpx.Client, name: str) -> None:
    def same() -> bool:
        answers = [
            client.get(f"/api/status/{name}", headers={"accept-encoding": encoding})
            for encoding in ("gzip", "identity")
        ]
        return answers[0].headers["etag"] == answers[1].headers["etag"] and (
            answers[0].content == answers[1].content
        )

    wait_until(same, 10, "two requests within one tick")


@pytest.mark.parametrize("name", ["live", "evals", "system"])
def test_an_answer_is_small_on_the_wire(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/api/status/{name}", headers={"accept-encoding": "gzip"})
    assert int(answer.headers["content-length"]) <= 4096


def test_answers_are_json_without_numbers_that_json_lacks(client: httpx.Client) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    for name in EXPECTED:
        json.loads(client.get(f"/api/status/{name}").text, parse_constant=refuse)


def test_a_parameter_is_refused_where_there_is_none(client: httpx.Client) -> None:
    answer = client.get("/api/status/live?x=1")
    assert answer.status_code == 422
    assert "'x'" in answer.json()["detail"][0]["msg"]


def test_no_other_site_may_read_it(client: httpx.Client) -> None:
    answer = client.get("/api/status/live", headers={"origin": "https://example.org"})
    assert "access-control-allow-origin" not in answer.headers
