"""Where the answers differ from what the daemon trainer's pages expect, and why.

docs/API.md has it as a table; the test of those pages holds it against them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """One field or address."""

    where: str
    expected: str
    here: str
    why: str


DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "any value that is not known",
        "0, 0.0 or `false`",
        "`null`",
        "A run without a loss is not one with loss 0. Older pages draw such a field as missing, or "
        "leave its card as it was.",
    ),
    Difference(
        "`preview`: `em_trend`",
        "the last 20 previews, each 1.0 or 0.0",
        "EM of the 20 previews up to each of the newest 100",
        "A line between 0 and 1 shows no trend; the numbers have the same range and order.",
    ),
    Difference(
        "`preview`: `domain_stats`",
        "by source pool, as a stand-in",
        "by pattern; by source pool is `source_stats`",
        "Domains are meant, and those pages have both cards.",
    ),
    Difference(
        "`preview`: `latest_preview`",
        "as logged; on one page, a round with `results` and `metrics`",
        "as logged, long texts cut (`cut`, `whole`)",
        "The answer stays within 20 KB. A round is not one preview: its card says that there are "
        "no results, and `/api/preview/history` has them.",
    ),
    Difference(
        "`live`: `eta_overall`",
        "text, of all queued files",
        "the same; of all steps where no queue is known",
        "`eta_queued_s` and `eta_overall_s` tell them apart, in seconds.",
    ),
    Difference(
        "`live`: `health_issues`",
        "from fixed limits",
        "from the limits of the settings and of the card, and the trainer's own alerts",
        "Cards differ.",
    ),
    Difference(
        "`evals`: `fixed_eval_trend`",
        "the last two evaluations, by any difference",
        "the newest against the mean of up to three before; within 0.01 it is `stable`",
        "One example more or less is no trend. The words are the same.",
    ),
    Difference(
        "`evals`: `gap_status`",
        "`good` without a gap",
        "`null` without a gap",
        "Nothing is known about overfitting then.",
    ),
    Difference(
        "`system`, `live`: `gpu_4090`, `gpu_3090`, `system_4090`, `system_3090`",
        "two machines",
        "the first of each role, deprecated; `machines` has all",
        "There may be one machine, or ten.",
    ),
    Difference(
        "`/api/preview/history`: `count`",
        "rows of this page; older pages take it for all",
        "rows of this page; `total` match, of `total_all`",
        "Older pages show one page of the table; their filters narrow it.",
    ),
    Difference(
        "`/api/preview/history`: a wrong `limit`, `offset`, `since` or `exact_match`",
        "an error, or another meaning",
        "422 that names it",
        "A filter that is not understood must not look like an answer.",
    ),
    Difference(
        "`/api/throughput/samples`: `timestamp`, `step`",
        "always there",
        "`null` where the trainer's status does not tell them; newest first",
        "Its own samples have no time.",
    ),
    Difference(
        "`/status/training_status.json` while there is none",
        "`{}`",
        "404 with the reason",
        "An empty object looks like an idle run.",
    ),
    Difference(
        "other sites' pages (CORS)",
        "all of them",
        "those that `api.allowed_origins` names",
        "Any page that is open in a browser could read the run otherwise.",
    ),
)
