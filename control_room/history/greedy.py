"""What the questions about an example's life share: its key, and which answers count.

Several samples at a temperature say nothing of what the model learned when: of those, only the
first of a round counts, and rounds of samples not at all.
"""

from __future__ import annotations

from control_room.records import SAMPLES_POOL

# Without an id the prompt is the example.
KEY = "hash(dataset_id, coalesce(example_id, prompt))"
COUNTED = (
    "exact_match IS NOT NULL AND coalesce(sample_index, 0) = 0 "
    f"AND source_pool IS DISTINCT FROM '{SAMPLES_POOL}'"
)
# The probability that the model gives its own answer: as it told, or as its tokens tell.
CONFIDENCE = (
    "coalesce(confidence, CASE WHEN len(token_log_probs) > 0 "
    "THEN exp(least(0.0, list_sum(token_log_probs))) END)"
)
