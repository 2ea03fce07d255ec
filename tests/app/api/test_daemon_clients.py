"""What the daemon trainer's pages ask, and that they find what they read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.daemon_clients import DIFFERENCES
from tests.support import serving_app, wait_until

PAGES = "http://trainer.lan:8080"  # where the pages themselves come from
NOW_MS = "1764000000000"

# The older pages: what they read of the status file, as the trainer wrote it.
OLD_ADDRESSES = (
    "/status/training_status.json",
    f"/status/training_status.json?t={NOW_MS}",
    f"/status/training_status.json?_={NOW_MS}",
    f"/status/training_status.json?nocache={NOW_MS}&v=2",
)
OLD_READS = (
    *("status", "current_step", "total_steps", "epoch", "loss", "learning_rate", "model_name"),
    *("timestamp", "validation_loss", "val_train_gap", "think_tag_percent", "accuracy_percent"),
    *("batch_queue_size", "batch_step", "batch_total_steps", "current_file", "current_prompt"),
    *("golden_answer", "model_answer", "recent_examples.0.step", "recent_examples.0.matches"),
    *("recent_examples.0.loss", "pattern_loss_trend.syllogism.avg_loss", "length_bin_staleness"),
    *("queue_velocity.samples_per_sec", "layer_stability_summary", "logit_penalty_stats"),
    *("throughput_vram_samples.0.tokens_per_sec", "throughput_vram_samples.0.vram_gb"),
    *("loss_trend", "throughput_trend", "fixed_eval_trend", "active_alerts.0.severity"),
)

TEXT, NUMBER, TRUTH = (str,), (int, float), (bool,)
MAYBE_NUMBER = (int, float, type(None))  # of hardware that a machine may lack

# The newer page: each address it polls, with its parameters, and how it uses each field.
NEW_READS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "/api/status/live": {
        **dict.fromkeys(("status", "current_model_name", "current_checkpoint_id"), TEXT),
        **dict.fromkeys(("current_step", "total_steps", "epoch", "loss", "streaming_ce"), NUMBER),
        **dict.fromkeys(("loss_variance", "val_loss", "train_loss"), NUMBER),
        **dict.fromkeys(("loss_trend", "throughput_trend", "current_file"), TEXT),
        **dict.fromkeys(
            ("tokens_per_sec", "tokens_per_sec_avg", "tokens_per_sec_baseline"), NUMBER
        ),
        **dict.fromkeys(("batch_step", "batch_total_steps", "batch_queue_size"), NUMBER),
        **dict.fromkeys(("eta_current_file", "eta_overall", "latest_snapshot_date"), TEXT),
        **dict.fromkeys(
            (
                *("gpu_4090.temp_c", "gpu_4090.vram_used_gb", "gpu_4090.vram_total_gb"),
                *("gpu_4090.vram_pct", "gpu_4090.util_pct", "gpu_4090.power_w"),
                *("gpu_4090.power_limit_w", "ram.used_gb", "ram.total_gb"),
            ),
            MAYBE_NUMBER,
        ),
    },
    "/api/status/preview": {
        **dict.fromkeys(
            ("preview_em_last_20", "preview_em_last_50", "preview_em_last_100"), NUMBER
        ),
        **dict.fromkeys(("regime_stats.emoji_think.em_rate", "em_trend.0"), NUMBER),
        **dict.fromkeys(("regime_stats.emoji_think.total", "pending_jobs"), NUMBER),
        **dict.fromkeys(("regime_stats.emoji_think.em", "last_job_latency_ms"), NUMBER),
        **dict.fromkeys(("regime_stats.emoji_think.count", "latest_preview.step"), NUMBER),
        **dict.fromkeys(
            ("source_stats.fixed_eval.em_rate", "source_stats.fixed_eval.total"), NUMBER
        ),
        **dict.fromkeys(("latest_preview.checkpoint_id", "latest_preview.timestamp"), TEXT),
        **dict.fromkeys(("latest_preview.example_id", "latest_preview.dataset_id"), TEXT),
        **dict.fromkeys(("latest_preview.regime", "latest_preview.source_pool"), TEXT),
        **dict.fromkeys(("latest_preview.prompt", "latest_preview.golden"), TEXT),
        "latest_preview.model_answer": TEXT,
        **dict.fromkeys(("latest_preview.exact_match", "latest_preview.normalized_match"), TRUTH),
        **dict.fromkeys(("latest_preview.ce", "latest_preview.prompt_tokens"), NUMBER),
        **dict.fromkeys(("latest_preview.golden_tokens", "latest_preview.model_tokens"), NUMBER),
        "latest_preview.generation_time_ms": NUMBER,
        "latest_preview.contract_status.emoji_prefix": TRUTH,
        "pattern_heatmap.data.0.0": NUMBER,
    },
    "/api/status/evals": {
        **dict.fromkeys(("fixed_eval_em", "fixed_eval_ce", "fixed_eval_ece"), NUMBER),
        **dict.fromkeys(("fixed_eval_step", "micro_eval_loss", "micro_eval_step"), NUMBER),
        **dict.fromkeys(("fixed_eval_trend", "fixed_eval_timestamp", "gap_status"), TEXT),
        **dict.fromkeys(("val_loss", "train_loss", "val_train_gap"), NUMBER),
        **dict.fromkeys(("domain_evals.syllogism.em", "domain_evals.syllogism.ce"), NUMBER),
        **dict.fromkeys(("snapshots.0.date", "snapshots.0.model_id"), TEXT),
        **dict.fromkeys(("snapshots.0.tags.0",), TEXT),
        "snapshots.0.fixed_eval_em": NUMBER,
    },
    "/api/status/system": {
        **dict.fromkeys(("system_4090.disk_used_gb", "system_4090.disk_total_gb"), MAYBE_NUMBER),
        **dict.fromkeys(("queues.preview_jobs_pending", "queues.eval_jobs_pending"), NUMBER),
        **dict.fromkeys(("queues.data_gen_jobs_pending", "queues.training_queue_high"), NUMBER),
    },
    "/api/preview/history?limit=100&offset=0": {
        **dict.fromkeys(("count", "limit", "previews.0.step", "previews.0.ce"), NUMBER),
        **dict.fromkeys(("previews.0.ts", "previews.0.example_id", "previews.0.regime"), TEXT),
        **dict.fromkeys(("previews.0.source_pool", "previews.0.prompt"), TEXT),
        "previews.0.exact_match": TRUTH,
    },
    "/api/throughput/samples?limit=200": {
        **dict.fromkeys(("count", "samples.0.tokens_per_sec", "samples.0.vram_used_gb"), NUMBER),
    },
}

STATUS: dict[str, Any] = {
    "status": "training",
    "current_step": 15_000,
    "total_steps": 100_000,
    "epoch": 2.3,
    "loss": 0.452,
    "learning_rate": 0.0002,
    "model_name": "qwen3-0.6b",
    "current_checkpoint": "checkpoint-15000",
    "batch_step": 15,
    "batch_total_steps": 30,
    "batch_queue_size": 8,
    "current_file": "syllo_batch_042.jsonl",
    "eta_current_file": "2h 15m",
    "eta_overall": "12h 30m",
    "current_prompt": "All men are mortal.",
    "golden_answer": "🛑",
    "model_answer": "🛑",
    "recent_examples": [{"step": 14_800, "matches": True, "loss": 0.55}],
    "accuracy_percent": 71.4,
    "think_tag_percent": 0.0,
    "pattern_loss_trend": {"syllogism": {"avg_loss": 0.56, "recent_loss": 0.49, "samples": 7}},
    "length_bin_staleness": {"0-50": 0.1},
    "queue_velocity": {"samples_per_sec": 1.5, "samples_per_hour": 5400, "effective_batch": 8},
    "layer_stability_summary": None,
    "logit_penalty_stats": None,
    "streaming_ce": 0.438,
    "loss_variance": 0.012,
    "loss_trend": "degrading",
    "throughput_trend": "degrading",
    "validation_loss": 0.53,
    "val_train_gap": 0.08,
    "tokens_per_sec": None,
    "throughput_vram_samples": [
        {"step": 14_990 + n, "tokens_per_sec": 2300.0 + n, "vram_gb": 20.1, "penalty": 0.0}
        for n in range(10)
    ],
    "fixed_eval_trend": "degrading",
    "fixed_eval": {
        "em": 0.83,
        "ce": 0.35,
        "ece": 0.08,
        "step": 15_000,
        "timestamp": "2026-11-23T13:00:00",
        "by_domain": {"syllogism": {"em": 0.88, "ce": 0.35}},
    },
    "fixed_eval_history": [{"step": 10_000, "em": 0.8}, {"step": 15_000, "em": 0.83}],
    "micro_eval": {"loss": 0.42, "step": 14_950},
    "recent_snapshots": [
        {
            "date": "2026-11-22",
            "model_id": "checkpoint-15000",
            "fixed_eval_em": 0.83,
            "tags": ["best_so_far"],
        }
    ],
    "preview_jobs_pending": 3,
    "eval_jobs_pending": 0,
    "data_gen_jobs_pending": 1,
    "queue_high": 2,
    "last_preview_latency_ms": 120,
    "active_alerts": [{"severity": "warning", "message": "GPU temperature high"}],
}


def preview_line(number: int, **more: Any) -> str:
    """As the daemon trainer's preview logger writes it."""
    return json.dumps(
        {
            "ts": f"2026-11-22T14:{number:02d}:00",
            "step": 15_000 + number,
            "checkpoint_id": "checkpoint-15000",
            "example_id": f"syllo_{number:06d}",
            "dataset_id": "syllo_train_v3",
            "regime": ("regime3", "emoji_think")[number % 2],
            "source_pool": ("train", "fixed_eval")[number % 2],
            "prompt": "All men are mortal...",
            "golden": "Socrates is mortal",
            "model_answer": "Socrates is mortal",
            "exact_match": number % 3 == 0,
            "normalized_match": True,
            "failure_mode": None,
            "ce": 0.15,
            "prompt_tokens": 45,
            "golden_tokens": 8,
            "model_tokens": 8,
            "generation_time_ms": 120,
            "contract_status": {"emoji_prefix": True, "stop_emoji": True},
            **more,
        }
    )


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    """A status of now; its time is local and without a zone, as the trainer writes it."""
    now = datetime.now(UTC).astimezone().replace(tzinfo=None)
    return {**STATUS, "timestamp": now.isoformat()}


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, written: dict[str, Any]
) -> Iterator[httpx.Client]:
    """Over what the daemon trainer and its preview logger leave, and nothing else."""
    run_dir = tmp_path_factory.mktemp("daemon") / "training"
    (run_dir / "status").mkdir(parents=True)
    (run_dir / "status" / "training_status.json").write_text(json.dumps(written))
    log = run_dir / "logs" / "preview" / "preview_history_2026-11-22.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text("\n".join(preview_line(number) for number in range(31)) + "\n")
    with log.open("a") as file:
        file.write(preview_line(31, prompt="🤔" * 50_000, model_answer="a\n" * 100_000) + "\n")
    with (
        serving_app(
            run_dir, run_dir.parent / "app.log", "--set", f'api.allowed_origins=["{PAGES}"]'
        ) as served,
        httpx.Client(
            base_url=served, timeout=30, headers={"origin": PAGES}, follow_redirects=True
        ) as opened,
    ):

        def has_read() -> bool:
            live = opened.get("/api/status/live").json()
            preview = opened.get("/api/status/preview").json()
            history = opened.get("/api/preview/history")
            read = live["status"] is not None and preview["preview_count"] == 32
            return read and history.status_code == 200 and bool(live["ram"]["total_gb"])

        wait_until(has_read, 60, "all that is there")
        yield opened


def at(answer: Any, path: str) -> Any:
    """``a.0.b`` of an answer. Fails naming the part that is missing."""
    for part in path.split("."):
        assert isinstance(answer, (dict, list)), (path, part)
        assert part in answer or isinstance(answer, list), (path, part)
        answer = answer[int(part)] if isinstance(answer, list) else answer[part]
    return answer


@pytest.mark.parametrize("address", OLD_ADDRESSES)
def test_the_older_pages_find_what_the_trainer_wrote(
    client: httpx.Client, written: dict[str, Any], address: str
) -> None:
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGES
    told = answer.json()
    assert told == written
    for path in OLD_READS:
        assert at(told, path) == at(written, path), path


@pytest.mark.parametrize("address", NEW_READS)
def test_the_newer_page_finds_what_it_computes_with(client: httpx.Client, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    assert answer.headers["access-control-allow-origin"] == PAGES
    for path, kinds in NEW_READS[address].items():
        found = at(answer.json(), path)
        assert isinstance(found, kinds), (path, found)
        assert isinstance(found, bool) == (kinds == TRUTH), (path, found)


@pytest.mark.parametrize("name", ["live", "preview", "evals", "system"])
def test_a_poll_that_busts_the_cache_is_answered_the_same(client: httpx.Client, name: str) -> None:
    assert client.get(f"/api/status/{name}?_={NOW_MS}").status_code == 200


@pytest.mark.parametrize(
    ("older", "query"),
    [
        ("source=fixed_eval", "source_pool=fixed_eval"),
        ("exactMatch=false", "exact_match=false"),
        ("exactMatch=true&source=train&regime=regime3", "exact_match=true&source_pool=train"),
        ("source=&exactMatch=true", "exact_match=true"),
    ],
)
def test_the_older_names_of_filters_mean_the_newer_ones(
    client: httpx.Client, older: str, query: str
) -> None:
    expected = client.get(f"/api/preview/history?{query}").json()
    assert 0 < expected["total"] < expected["total_all"]
    # One page asks for its table where the statistics are.
    for address in ("/api/preview/history", "/api/status/preview"):
        found = client.get(f"{address}?limit=100&offset=0&{older}").json()
        assert found["previews"] == expected["previews"], address
        assert found["count"] == expected["count"], address
    lines = client.get(f"/api/preview/history.jsonl?{older}").text.splitlines()
    assert len(lines) == expected["total"]


def test_of_both_names_of_a_filter_the_newer_one_counts(client: httpx.Client) -> None:
    both = client.get("/api/preview/history?source=a&source_pool=train&exactMatch=1&exact_match=0")
    newer = client.get("/api/preview/history?source_pool=train&exact_match=false")
    assert both.json()["previews"] == newer.json()["previews"]
    assert newer.json()["total"] > 0


def test_words_and_texts_are_those_of_the_view_models(client: httpx.Client) -> None:
    live = client.get("/api/status/live").json()
    assert (live["loss_trend"], live["throughput_trend"]) == ("rising", "degraded")
    assert (live["eta_current_file"], live["eta_overall"]) == ("2h 15m", "12h 30m")
    assert (live["eta_current_file_s"], live["eta_queued_s"]) == (8_100, 45_000)
    evals = client.get("/api/status/evals").json()
    assert evals["fixed_eval_trend"] == "improving"
    assert evals["fixed_eval_history"] == [[10_000, 0.8], [15_000, 0.83]]
    snapshot = evals["snapshots"][0]
    assert (snapshot["model_id"], snapshot["tags"]) == ("checkpoint-15000", ["best_so_far"])


def test_validation_training_and_gap_belong_together(client: httpx.Client) -> None:
    for name in ("live", "evals"):
        view = client.get(f"/api/status/{name}").json()
        assert view["val_train_gap"] == pytest.approx(view["val_loss"] - view["train_loss"]), name


def test_what_only_the_status_tells_is_told(client: httpx.Client) -> None:
    live = client.get("/api/status/live").json()
    assert live["tokens_per_sec"] == 2309.0
    assert live["latest_snapshot_date"] == "2026-11-22"
    assert [(a["message"], a["level"]) for a in live["alerts"]] == [
        ("GPU temperature high", "warning")
    ]
    assert "GPU temperature high" in live["health_issues"]
    preview = client.get("/api/status/preview").json()
    assert (preview["pending_jobs"], preview["last_job_latency_ms"]) == (3, 120)
    samples = client.get("/api/throughput/samples?limit=3").json()
    assert [sample["step"] for sample in samples["samples"]] == [14_999, 14_998, 14_997]
    assert (samples["count"], samples["source"]) == (3, "status")
    assert samples["samples"][0]["timestamp"] is None


def test_the_poll_of_a_huge_preview_is_small_and_says_where_the_whole_is(
    client: httpx.Client,
) -> None:
    answer = client.get("/api/status/preview", headers={"accept-encoding": "identity"})
    assert len(answer.content) < 20_000
    latest = answer.json()["latest_preview"]
    assert latest["cut"] == {"prompt": 50_000, "model_answer": 200_000}
    assert set(latest["prompt"]) == {"🤔"}
    found = client.get(latest["whole"]).json()["previews"]
    assert [len(each["prompt"]) for each in found] == [50_000]
    assert found[0]["model_answer"] == "a\n" * 100_000
    assert found[0]["golden"] == latest["golden"]


def test_what_differs_is_said_with_its_reason() -> None:
    document = (Path(__file__).parents[3] / "docs" / "API.md").read_text()
    for difference in DIFFERENCES:
        for text in (difference.where, difference.expected, difference.here, difference.why):
            assert text in document
