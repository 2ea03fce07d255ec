"""What inference servers tell of themselves as Prometheus metrics.

Names: vLLM's, llama.cpp's, SGLang's and text-generation-inference's own documentation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

_MOST_LINES = 20_000
_LONGEST_LINE = 16_384


@dataclass(frozen=True, slots=True)
class ServerMetrics:
    """One look. ``tokens_total`` counts generated tokens since the server's start."""

    server: str | None = None  # which program it is, where its metrics say so
    requests_running: float | None = None
    requests_waiting: float | None = None
    tokens_total: float | None = None
    kv_cache_pct: float | None = None


@dataclass(frozen=True, slots=True)
class _Names:
    """Metric names of one server; of several the first that is there counts."""

    server: str
    running: str
    waiting: str
    tokens: str
    kv_cache: tuple[str, ...]  # a fraction, 0-1


_SERVERS = (
    _Names(
        "vLLM",
        "vllm:num_requests_running",
        "vllm:num_requests_waiting",
        "vllm:generation_tokens_total",
        ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
    ),
    _Names(
        "llama.cpp",
        "llamacpp:requests_processing",
        "llamacpp:requests_deferred",
        "llamacpp:tokens_predicted_total",
        ("llamacpp:kv_cache_usage_ratio",),
    ),
    _Names(
        "SGLang",
        "sglang:num_running_reqs",
        "sglang:num_queue_reqs",
        "sglang:generation_tokens_total",
        ("sglang:token_usage",),
    ),
    _Names(
        "TGI",
        "tgi_batch_current_size",
        "tgi_queue_size",
        "tgi_request_generated_tokens_sum",
        (),
    ),
)


def parse_metrics(text: str) -> ServerMetrics:
    """The metrics that are known, summed over their labels. Raises ValueError for other text."""
    # Each line becomes objects of many times its size.
    if text.count("\n") > _MOST_LINES:
        raise ValueError(f"more than {_MOST_LINES:,} lines")
    if any(len(line) > _LONGEST_LINE for line in text.split("\n")):
        raise ValueError(f"a line of more than {_LONGEST_LINE:,} characters")
    values = _sums(text)
    for names in _SERVERS:
        told = (names.running, names.waiting, names.tokens)
        if any(name in values for name in told):
            used = next((values[name] for name in names.kv_cache if name in values), None)
            running, waiting, tokens = (values.get(name) for name in told)
            kv_cache_pct = None if used is None else 100 * used
            return ServerMetrics(names.server, running, waiting, tokens, kv_cache_pct)
    return ServerMetrics()


def _sums(text: str) -> Mapping[str, float]:
    sums: dict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            # Not a number: nothing was measured yet.
            if sample.value == sample.value:
                sums[sample.name] += sample.value
    return sums
