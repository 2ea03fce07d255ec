"""What the questions about an example's life share: its key, and which answers count.

Several samples at a temperature say nothing of what the model learned when: of those, only the
first of a round counts, and rounds of samples not at all.
"""

from __future__ import annotations

from control_room.recording.records import SAMPLES_POOL

# Without an id the prompt is the example.
KEY = "hash(dataset_id, coalesce(example_id, prompt))"
GREEDY = f"coalesce(sample_index, 0) = 0 AND source_pool IS DISTINCT FROM '{SAMPLES_POOL}'"
COUNTED = f"exact_match IS NOT NULL AND {GREEDY}"
# The step of a checkpoint is that of the middle one of its previews: a stray line moves nothing.
CHECKPOINT_STEP = "quantile_disc(step, 0.5)"
# The probability that the model gives its own answer: as it told, or as its tokens tell.
CONFIDENCE = (
    "coalesce(confidence, CASE WHEN len(token_log_probs) > 0 "
    "THEN exp(least(0.0, list_sum(token_log_probs))) END)"
)
