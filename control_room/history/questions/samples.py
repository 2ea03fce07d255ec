"""Several answers to one example: how often one is right, and how much they agree.

Answers of the same round (or, without a round, of the same checkpoint) to the same example are its
samples. What got no answer, or was not scored, counts nowhere.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from control_room.history.filters import PreviewFilter
from control_room.history.queries import Cursor
from control_room.history.questions.greedy import KEY
from control_room.statistics.intervals import Z_95

PASS_AT = (1, 2, 3, 4, 5, 6, 8, 10, 16, 32, 64)  # the k of pass@k that are shown

# Answers are the same when they differ in case and space alone.
_ANSWER = "lower(trim(regexp_replace(model_answer, '\\s+', ' ', 'g')))"
_SAMPLED = "exact_match IS NOT NULL AND example_id IS NOT NULL"
# Of two datasets, the same id is not the same example, so examples are told apart by their KEY.
# Only where somebody asked more than once: looking for it in every preview takes long.
_ASKING = "coalesce(round_id, checkpoint_id, step::VARCHAR)"
_ASKED_TWICE = (
    f"({_ASKING}, {KEY}) IN (SELECT DISTINCT ({_ASKING}, {KEY}) FROM previews "
    "WHERE sample_index > 0)"
)


@dataclass(frozen=True, slots=True)
class ExampleSamples:
    """The samples of one example at one checkpoint."""

    example_id: str
    dataset_id: str | None
    checkpoint_id: str | None
    step: int
    count: int
    correct: int
    distinct: int  # different answers
    agreement: float  # share of the most frequent answer, 1/count to 1
    entropy_nats: float  # Shannon's, over the answers; 0 when all are the same


@dataclass(frozen=True, slots=True)
class PassAtK:
    """The mean of pass@k over the examples that have at least ``k`` samples.

    ``interval`` is that of the mean over examples (normal, 95 %, within 0 to 1); None for one.
    """

    k: int
    value: float
    examples: int
    interval: tuple[float, float] | None


def pass_at_k(count: int, correct: int, k: int) -> float:
    """The unbiased estimate that at least one of ``k`` samples is right: 1 - C(n-c, k) / C(n, k).

    Chen et al. 2021, "Evaluating Large Language Models Trained on Code", equation 1, in their
    numerically stable form. Raises ``ValueError`` unless 0 <= correct <= count and 1 <= k <= count.
    """
    if not 0 <= correct <= count:
        raise ValueError(f"correct = {correct} of {count}: expected 0 to {count}")
    if not 1 <= k <= count:
        raise ValueError(f"k = {k}: expected 1 to {count}, the samples there are")
    if count - correct < k:
        return 1.0
    none_right = 1.0
    for i in range(count - correct + 1, count + 1):
        none_right *= 1.0 - k / i
    return 1.0 - none_right


def pass_at(
    cursor: Cursor, wanted: PreviewFilter, ks: Sequence[int], *, least: int = 1
) -> list[PassAtK]:
    """pass@k for each of ``ks``, over the examples with samples enough, and at least ``least``."""
    where, values = wanted.where()
    if least > 1:
        where += f" AND {_ASKED_TWICE}"
    counts = cursor.execute(
        "SELECT n, c, count(*) FROM ("
        "SELECT count(*) AS n, count(*) FILTER (exact_match) AS c FROM previews "
        f"WHERE {where} AND {_SAMPLED} GROUP BY {_ASKING}, {KEY}) GROUP BY n, c",
        values,
    ).fetchall()
    found = []
    for k in ks:
        enough = Counter({(n, c): times for n, c, times in counts if n >= max(k, least)})
        if examples := enough.total():
            told = [(pass_at_k(n, c, k), times) for (n, c), times in enough.items()]
            mean = sum(value * times for value, times in told) / examples
            found.append(PassAtK(k, mean, examples, _interval(mean, told, examples)))
    return found


def _interval(
    mean: float, told: Sequence[tuple[float, int]], count: int
) -> tuple[float, float] | None:
    """Of the mean of values that occur so many times."""
    if count < 2:
        return None
    variance = sum(times * (value - mean) ** 2 for value, times in told) / (count - 1)
    half = Z_95 * math.sqrt(variance / count)
    return max(0.0, mean - half), min(1.0, mean + half)


def example_samples(
    cursor: Cursor, wanted: PreviewFilter, *, limit: int, least: int = 2, newest: bool = False
) -> list[ExampleSamples]:
    """Examples with at least ``least`` samples, those that agree least first.

    With ``newest`` each is told once, as it was when it was last asked.
    """
    where, values = wanted.where()
    if least > 1:
        where += f" AND {_ASKED_TWICE}"
    rows = cursor.execute(
        f"""
        WITH answers AS (
            SELECT {_ASKING} AS asking, {_ANSWER} AS answer, {KEY} AS key,
                any_value(example_id) AS example_id, any_value(dataset_id) AS dataset_id,
                any_value(checkpoint_id) AS checkpoint_id, any_value(step) AS step,
                count(*) AS times, count(*) FILTER (exact_match) AS correct
            FROM previews WHERE {where} AND {_SAMPLED} GROUP BY asking, key, answer
        ), shares AS (
            SELECT *, times / sum(times) OVER (PARTITION BY asking, key) AS share
            FROM answers
        )
        SELECT any_value(example_id) AS example, any_value(dataset_id) AS dataset,
            any_value(checkpoint_id), any_value(step), sum(times)::BIGINT AS n,
            sum(correct)::BIGINT, count(*), max(share) AS agreement,
            greatest(0.0, -sum(share * ln(share)))
        FROM shares GROUP BY asking, key HAVING n >= ?
        {
            "QUALIFY row_number() OVER (PARTITION BY key ORDER BY any_value(step) DESC) = 1"
            if newest
            else ""
        }
        ORDER BY agreement, n DESC, asking DESC, example, dataset LIMIT ?
        """,
        [*values, least, limit],
    ).fetchall()
    return [ExampleSamples(*row) for row in rows]
