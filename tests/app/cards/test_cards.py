"""The cards' HTML: what is known is shown, what is not says so, and every text is escaped."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

from app.cards import hardware, jobs, kit, preview, preview_stats, queue, runner, summary, training
from app.views.models import (
    GpuStatus,
    HealthLight,
    JobQueueStatus,
    LivenessStatus,
    LiveStatus,
    MachineStatus,
    MigInstanceStatus,
    Preview,
    PreviewStatus,
    Queues,
    Rate,
    RoundStatus,
    RunnerStatus,
    ServerStatus,
    SystemStatus,
)
from collectors.machines.gpu.nvml import UNIFIED_MEMORY

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def live(**values: object) -> LiveStatus:
    fields: dict[str, object] = {
        "run_id": "my-run",
        "run_dir": "runs/my-run",
        "liveness": LivenessStatus(state="live"),
        "timestamp": NOW,
        **values,
    }
    return LiveStatus.model_validate(fields)


def system(**values: object) -> SystemStatus:
    fields = {"run_id": "my-run", "queues": Queues(), "timestamp": NOW, **values}
    return SystemStatus.model_validate(fields)


def previews(**values: object) -> PreviewStatus:
    return PreviewStatus.model_validate({"run_id": "my-run", "timestamp": NOW, **values})


def a_preview(**values: object) -> Preview:
    fields: dict[str, object] = {
        "ts": NOW - timedelta(seconds=12),
        "step": 15_000,
        "prompt": "All men are mortal.",
        "golden": "Socrates is mortal",
        "model_answer": "Socrates is mortal",
        "exact_match": True,
        **values,
    }
    return Preview.model_validate(fields)


def text(html: str) -> str:
    """What a person reads: tags become spaces."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html))).strip()


def test_the_summary_says_where_the_run_is() -> None:
    shown = text(
        summary.html(
            live(
                status="training",
                current_step=15_000,
                total_steps=100_000,
                progress_pct=15.0,
                current_model_name="qwen3-0.6b",
                current_checkpoint_id="checkpoint-15000",
                health_lights=[HealthLight(name="Loss", level="ok", text="Loss falling")],
            )
        )
    )
    assert "Training" in shown
    assert "qwen3-0.6b · checkpoint-15000" in shown
    assert "Step 15,000 / 100,000 · 15%" in shown
    assert "✓ Loss falling" in shown


def test_a_stalled_run_is_shown_as_stalled_with_the_reason() -> None:
    liveness = LivenessStatus(
        state="stalled", silent_s=200, patience_s=90, reason="no write for 3m"
    )
    shown = text(summary.html(live(status="training", current_step=5, liveness=liveness)))
    assert "✕ Stalled" in shown
    assert "no write for 3m" in shown


def test_a_pause_is_shown_with_its_reason() -> None:
    shown = summary.html(live(status="paused", current_step=5, pause_reason="Check <the> logs"))
    assert "Paused: Check <the> logs" in text(shown)
    assert "Paused:" not in text(summary.html(live(status="paused", current_step=5)))


def test_alerts_of_the_trainer_stand_in_the_summary() -> None:
    alerts = [
        {"message": "val-train gap 0.900", "severity": "critical", "level": "critical"},
        {"message": "slow", "level": "warning"},
    ]
    shown = text(summary.html(live(status="training", current_step=5, alerts=alerts)))
    assert "✕ The trainer warns (critical): val-train gap 0.900" in shown
    assert "▲ The trainer warns: slow" in shown


def test_a_crash_is_shown_with_its_error() -> None:
    shown = text(
        summary.html(
            live(
                status="crashed",
                current_step=5,
                error_type="OOM",
                error_message="CUDA out of memory",
            )
        )
    )
    assert "Crashed. OOM: CUDA out of memory" in shown


def test_without_a_trainer_the_summary_says_what_to_do() -> None:
    shown = text(summary.html(live()))
    assert "Waiting for a trainer" in shown
    assert "make run RUN_DIR=" in shown


def test_values_that_are_not_known_are_never_zero() -> None:
    shown = text(training.html(live(current_step=3)))
    assert "Learning rate n/a" in shown
    assert "Epoch n/a" in shown
    assert " 0" not in shown


def test_a_loss_that_is_not_finite_is_shown_as_what_it_is() -> None:
    assert "nan" in text(training.html(live(current_step=3, loss=float("nan"))))


def test_an_old_loss_is_shown_with_its_age() -> None:
    view = live(status="training", current_step=3, loss=0.5, value_ages_s={"loss": 125.0})
    assert "loss from 2m ago" in text(training.html(view))


def test_a_resumed_run_says_so() -> None:
    view = live(current_step=130, segment_count=2, segment_start_step=100)
    assert "Resumed at step 100 (segment 2)" in text(training.html(view))


def test_the_queue_counts_files_and_tells_the_time_left() -> None:
    shown = text(
        queue.html(
            live(
                current_file="syllo_batch_042.jsonl",
                batch_step=15,
                batch_total_steps=30,
                eta_current_file_s=8100,
                eta_queued_s=45000,
                eta_overall_s=90000,
            ),
            system(
                queues=Queues(
                    training_queue_high=2, training_queue_normal=0, training_queue_low=None
                )
            ),
        )
    )
    assert "syllo_batch_042.jsonl" in shown
    assert "15 / 30 · 50%" in shown
    assert "High 2 Normal 0 Low n/a" in shown
    assert "This file 2h 15m All queued 12h 30m All steps 1d 1h" in shown


def test_hardware_shows_each_value_against_its_limit() -> None:
    gpu = GpuStatus(
        uuid="u",
        index=0,
        name="NVIDIA GeForce RTX 4090",
        temp_c=75,
        temp_limit_c=83,
        vram_used_gb=20,
        vram_total_gb=24,
        vram_pct=83.3,
        power_w=380,
        power_limit_w=450,
        level="warning",
        notes={"fan_pct": "this card has no fan"},
    )
    machine = MachineStatus(
        name="box",
        role="training",
        online=True,
        gpus=(gpu,),
        disk_used_gb=1228.8,
        disk_total_gb=1843.2,
    )
    html = hardware.html([machine])
    shown = text(html)
    assert "▲ 75 / 83 °C" in shown
    assert "20.0 / 24.0 GB" in shown
    assert "380 / 450 W" in shown
    assert "1.2 / 1.8 TB" in shown
    assert 'title="this card has no fan"' in html


def test_old_readings_are_shown_with_their_age() -> None:
    machine = MachineStatus(name="box", role="training", online=True, gpu_age_s=95, host_age_s=3)
    shown = text(hardware.html([machine]))
    assert "GPU read 1m ago" in shown
    assert "Host read" not in shown


def test_a_disk_that_is_nearly_full_is_marked() -> None:
    machine = MachineStatus(
        name="box",
        role="training",
        online=True,
        disk_used_gb=95,
        disk_total_gb=100,
        disk_pct=95,
        disk_level="critical",
    )
    assert "✕ 95 / 100 GB" in text(hardware.html([machine]))


def test_a_gap_that_means_overfitting_says_so() -> None:
    view = live(current_step=3, val_train_gap=0.61, gap_status="overfitting")
    assert "0.610 ✕ overfitting" in text(training.html(view))


def test_a_machine_without_gpu_says_why() -> None:
    machine = MachineStatus(
        name="box", role="training", online=True, gpu_message="No NVIDIA driver."
    )
    assert "No NVIDIA driver." in text(hardware.html([machine]))


def test_a_machine_that_is_gone_says_since_when_and_shows_no_values() -> None:
    machine = MachineStatus(
        name="box", role="inference", online=False, last_seen_s=65, message="SSH: refused"
    )
    shown = text(hardware.html([machine]))
    assert "▲ offline, seen 1m ago" in shown
    assert "SSH: refused" in shown
    assert "CPU" not in shown


def test_an_inference_server_tells_model_load_and_power_profile() -> None:
    machine = MachineStatus(
        name="box",
        role="inference",
        online=True,
        power_profile="quiet",
        server=ServerStatus(
            url="http://box",
            online=True,
            active_model="qwen3",
            requests_running=3,
            requests_waiting=0,
            tokens_per_sec=120.4,
            kv_cache_pct=25,
        ),
    )
    shown = text(hardware.html([machine]))
    assert "Power profile Quiet" in shown
    assert "Model qwen3 Requests 3 running, 0 waiting Generating 120 tok/s KV cache 25 %" in shown


def test_a_gpu_that_shares_the_machines_memory_shows_that() -> None:
    gpu = GpuStatus(uuid="u", index=0, name="GB10", notes={"vram_used_gb": UNIFIED_MEMORY})
    machine = MachineStatus(
        name="box",
        role="training",
        online=True,
        gpus=(gpu,),
        ram_used_gb=60,
        ram_total_gb=120,
        ram_pct=50,
    )
    assert "Shared RAM 60 / 120 GB" in text(hardware.html([machine]))


def test_a_split_gpu_names_its_parts() -> None:
    parts = (MigInstanceStatus(uuid="MIG-1", name="MIG 1g.10gb"),)
    gpu = GpuStatus(uuid="u", index=0, name="A100", mig_instances=parts)
    machine = MachineStatus(name="box", role="training", online=True, gpus=(gpu,))
    assert "Split by MIG: MIG 1g.10gb." in text(hardware.html([machine]))


def test_jobs_are_told_by_kind_and_unknown_counts_are_not_zero() -> None:
    queues = [
        JobQueueStatus(
            kind="eval",
            machine="box",
            pending=3,
            running=1,
            failed=2,
            last_latency_ms=2500,
            pending_history=(1, 2, 3),
        ),
        JobQueueStatus(kind="training_low"),
    ]
    html = jobs.html(queues)
    shown = text(html)
    assert "Evaluation 3 1 ▲ 2 2.5 s" in shown
    assert "Training, low n/a n/a n/a n/a" in shown
    assert 'aria-label="Evaluation waiting: from 1.000 to 3.000"' in html
    assert "No job queue is known." in text(jobs.html([]))
    assert "<script>" not in jobs.html([JobQueueStatus(kind="<script>", machine="<script>")])


def test_jobs_of_servers_stand_in_the_queue_card() -> None:
    view = system(job_queues=[JobQueueStatus(kind="preview", machine="box", pending=7)])
    assert "Preview 7" in text(queue.html(live(), view))


def test_the_runner_says_what_it_is_at_and_how_the_last_round_ended() -> None:
    view = RunnerStatus(
        running=True,
        age_s=1,
        pending={"preview": 2},
        round=RoundStatus(kind="preview", checkpoint="c7", answered=3, total=12, errors=1),
        last_round=RoundStatus(
            kind="eval", checkpoint="c5", outcome="completed", answered=10, errors=2, correct=4
        ),
        answers_per_sec=2.5,
        skipped=1,
        last_error="HTTP 500",
        problems=("the server answered as c5",),
    )
    shown = text(runner.html(view))
    assert "✓ asking preview of c7 3 of 12, 1 without an answer" in shown
    assert "Last: eval of c5 completed, 10 answers, 50 % right" in shown
    assert "Rounds waiting 2" in shown
    assert "Last error: HTTP 500" in shown
    assert "▲ the server answered as c5" in shown


def test_a_runner_that_is_gone_says_since_when() -> None:
    gone = RunnerStatus(
        running=False, age_s=125, round=RoundStatus(kind="preview", checkpoint="c7", answered=3)
    )
    shown = text(runner.html(gone))
    assert "▲ not running, seen 2m ago" in shown
    assert "preview of c7" not in shown


def test_a_runner_whose_file_cannot_be_read_is_not_silent() -> None:
    shown = text(runner.html(RunnerStatus(running=False, problems=("state.json is empty",))))
    assert "▲ not known to run" in shown
    assert "▲ state.json is empty" in shown


def test_an_outcome_is_told_in_words() -> None:
    wrong = a_preview(
        exact_match=False,
        failure_mode="contract_violation",
        contract_status={"emoji_prefix": True, "stop_emoji": False},
    )
    shown = text(preview.outcome_html(wrong, previews()))
    assert "✕ No exact match: contract violation" in shown
    assert "✓ emoji prefix kept" in shown
    assert "✕ stop emoji broken" in shown
    assert "10s ago" in shown


def test_the_difference_between_golden_and_answer_is_marked() -> None:
    html = preview.answers_html(a_preview(model_answer="Socrates is a man", exact_match=False))
    assert "<del>mortal</del>" in html
    assert "<ins>" in html
    same = text(preview.answers_html(a_preview(golden="", model_answer="", exact_match=True)))
    assert "Golden answer (empty) Model answer (empty) The answers are the same." in same


@pytest.mark.parametrize(
    ("values", "why", "in_a_table"),
    [
        (
            {"error": "HTTP 500 from box:8000"},
            "No answer: HTTP 500 from box:8000",
            "no answer: HTTP 500 from box:8000",
        ),
        (
            {"error": "too long", "finish_reason": "error"},
            "too long (finish_reason: error)",
            "no answer: too long",
        ),
        (
            {"finish_reason": "error"},
            "No answer: the server ended it with finish_reason: error",
            "no answer: error",
        ),
        (
            {"finish_reason": "length"},
            "The answer is empty (finish_reason: length)",
            "empty: length",
        ),
        ({}, "The answer is empty (the log tells no finish_reason and no error)", "empty"),
    ],
)
def test_a_preview_without_an_answer_says_why_and_marks_no_difference(
    values: dict[str, object], why: str, in_a_table: str
) -> None:
    silent = a_preview(model_answer="", exact_match=None, **values)
    html = preview.answers_html(silent)
    assert why in text(html)
    assert "<del>" not in html and "Struck through" not in html and "(empty)" not in html
    assert "No answer" in text(preview.outcome_html(silent, previews()))
    assert preview.failure(silent) == in_a_table


def test_what_a_server_said_instead_of_an_answer_is_shown_as_it_is() -> None:
    refused = a_preview(model_answer="CUDA <error>", exact_match=None, finish_reason="error")
    html = preview.answers_html(refused)
    assert "CUDA &lt;error&gt;" in html and "<ins>" not in html


def test_an_empty_answer_that_failed_keeps_its_failure_mode() -> None:
    wrong = a_preview(model_answer="", exact_match=False, failure_mode="wrong_content")
    assert preview.failure(wrong) == "wrong content · empty"
    assert "✕ No exact match: wrong content" in text(preview.outcome_html(wrong, previews()))
    assert preview.failure(a_preview()) == ""


def test_statistics_show_rates_and_counts() -> None:
    shown = text(
        preview_stats.html(
            previews(
                preview_count=100,
                preview_em_last_20=0.85,
                preview_em_last_50=0.83,
                preview_em_last_100=0.81,
                regime_stats={"emoji_think": Rate(em=0.83, count=60)},
                em_trend=[0.1, 0.5, 0.8],
            )
        )
    )
    assert "Last 20 85%" in shown
    assert "emoji_think 83% of 60" in shown


@pytest.mark.parametrize(
    "html",
    [
        training.html(live()),
        queue.html(live(), system()),
        hardware.html([]),
        preview_stats.html(previews()),
    ],
)
def test_every_empty_card_says_what_to_do_next(html: str) -> None:
    assert "cr-empty" in html
    assert "cr-note" in html


HOSTILE = "<img src=x onerror=alert(1)>"


def test_no_text_of_a_run_reaches_the_page_as_markup() -> None:
    view = live(
        run_id=HOSTILE,
        status="crashed",
        current_step=1,
        current_model_name=HOSTILE,
        current_file=HOSTILE,
        error_message=HOSTILE,
        problems=[HOSTILE],
        alerts=[{"message": HOSTILE, "severity": HOSTILE}],
    )
    wrong = a_preview(
        prompt=HOSTILE,
        golden=HOSTILE,
        model_answer=HOSTILE + "!",
        example_id=HOSTILE,
        failure_mode=HOSTILE,
        host=HOSTILE,
        requested_checkpoint_id=HOSTILE,
        exact_match=False,
        contract_status={HOSTILE: False},
    )
    machine = MachineStatus(
        name=HOSTILE, role="training", online=True, gpu_message=HOSTILE, problems=(HOSTILE,)
    )
    pages = [
        summary.html(view),
        training.html(view),
        queue.html(view, system(problems=(HOSTILE,))),
        hardware.html([machine]),
        preview.outcome_html(wrong, previews()),
        preview.answers_html(wrong),
        preview.detail_html(wrong),
        preview.answers_html(a_preview(model_answer="", error=HOSTILE, finish_reason=HOSTILE)),
        preview_stats.html(
            previews(preview_count=1, regime_stats={HOSTILE: Rate(em=1.0, count=1)})
        ),
    ]
    assert not [html for html in pages if "<img" in html]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(45, "45s"), (200, "3m 20s"), (8100, "2h 15m"), (200_000, "2d 7h"), (None, "n/a")],
)
def test_durations_are_read_at_a_glance(seconds: float | None, shown: str) -> None:
    assert kit.duration(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(2e-4, "2e-4"), (1.25e-5, "1.25e-5"), (0.1, "0.1"), (0.0, "0")]
)
def test_learning_rates_keep_their_exponent(value: float, shown: str) -> None:
    assert kit.scientific(value) == shown


def test_a_sparkline_leaves_a_gap_where_a_value_is_not_finite() -> None:
    assert kit.sparkline([1.0, 2.0, float("nan"), 3.0, 4.0], "Loss").count("polyline%20") == 2
    assert kit.sparkline([1.0], "Loss") == ""
