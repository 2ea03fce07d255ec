"""The life of each example: when it was learned, how often its answer turned, what it is now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from control_room.history.filters import PreviewFilter
from control_room.history.queries import Cursor
from control_room.history.questions.greedy import CONFIDENCE, COUNTED, KEY

SURE = 0.8
Ranking = Literal["flips", "forgotten", "sure"]


@dataclass(frozen=True, slots=True)
class ExampleLife:
    """One example over the run.

    ``learned_step`` is the step from which its answers have been right until now; None where the
    newest is wrong. ``forgotten`` counts the turns from right to wrong (Toneva et al. 2019, "An
    Empirical Study of Example Forgetting"), ``flips`` the turns either way.
    """

    example_id: str | None
    dataset_id: str | None
    pattern: str | None
    prompt: str
    answers: int
    flips: int
    forgotten: int
    first_right_step: int | None
    learned_step: int | None
    last_right_step: int | None
    right_now: bool
    last_step: int
    confidence: float | None  # of the newest answer
    newest_seq: int


@dataclass(frozen=True, slots=True)
class LearningSummary:
    """How many examples there are in each state. ``unstable`` ones have turned at least twice."""

    examples: int
    learned: int
    forgotten: int  # were right once, and are wrong now
    never: int
    unstable: int


_LIVES = f"""
    WITH answers AS (
        SELECT {KEY} AS key, seq, step, exact_match,
            lag(exact_match) OVER (PARTITION BY {KEY} ORDER BY seq) AS before
        FROM previews WHERE {{where}} AND {COUNTED}
    ), lives AS (
        SELECT key, count(*) AS answers, count(*) FILTER (exact_match <> before) AS flips,
            count(*) FILTER (before AND NOT exact_match) AS forgotten,
            min(step) FILTER (exact_match) AS first_right_step,
            arg_max(step, seq) FILTER (exact_match AND before IS NOT TRUE) AS turned_right_step,
            arg_max(step, seq) FILTER (exact_match) AS last_right_step,
            arg_max(exact_match, seq) AS right_now, arg_max(step, seq) AS last_step,
            arg_max(exact_match, seq) FILTER (step <= {{then}}) AS right_then,
            max(seq) AS newest_seq
        FROM answers GROUP BY key
    )
"""

# "sure" is what a person should look at first: confident, and wrong or not settled.
_RANKINGS: dict[Ranking, tuple[str, str]] = {
    "flips": ("flips > 0", "flips DESC, newest_seq DESC"),
    "forgotten": ("NOT right_now AND last_right_step IS NOT NULL", "last_right_step DESC, flips"),
    "sure": (
        f"confidence >= {SURE} AND (NOT right_now OR flips >= 2)",
        "right_now, confidence DESC, flips DESC",
    ),
}


def learning_summary(cursor: Cursor, wanted: PreviewFilter) -> LearningSummary:
    """Over the examples that match."""
    where, values = wanted.where()
    ((examples, learned, forgotten, never, unstable),) = cursor.execute(
        _LIVES.format(where=where, then="NULL") + "SELECT count(*), count(*) FILTER (right_now), "
        "count(*) FILTER (NOT right_now AND last_right_step IS NOT NULL), "
        "count(*) FILTER (last_right_step IS NULL), count(*) FILTER (flips >= 2) FROM lives",
        values,
    ).fetchall()
    return LearningSummary(examples, learned, forgotten, never, unstable)


def example_lives(
    cursor: Cursor,
    wanted: PreviewFilter,
    ranking: Ranking,
    *,
    limit: int,
    right_at_step: int | None = None,
) -> list[ExampleLife]:
    """The first ``limit`` that turn most, were lost last, or are sure and wrong.

    ``right_at_step``: only those whose newest answer up to that step was right.
    """
    condition, order = _RANKINGS[ranking]
    then = "NULL"
    if right_at_step is not None:
        condition, then = f"({condition}) AND right_then", str(int(right_at_step))
    where, values = wanted.where()
    names = ", ".join(each.name for each in fields(ExampleLife))
    rows = cursor.execute(
        _LIVES.format(where=where, then=then)
        + ", told AS (SELECT lives.*, example_id, dataset_id, pattern, "
        f"{CONFIDENCE} AS confidence, prompt, "
        "CASE WHEN right_now THEN turned_right_step END AS learned_step "
        "FROM lives JOIN previews ON seq = newest_seq) "
        f"SELECT {names} FROM told WHERE {condition} ORDER BY {order} LIMIT ?",
        [*values, limit],
    ).fetchall()
    return [ExampleLife(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class TimelineAnswer:
    """One answer in the life of an example; ``newest_seq`` says of which."""

    newest_seq: int
    step: int
    right: bool


def timelines(
    cursor: Cursor, wanted: PreviewFilter, lives: Sequence[ExampleLife]
) -> list[TimelineAnswer]:
    """Every counted answer to these examples, in the order they were given."""
    where, values = wanted.where()
    rows = cursor.execute(
        f"WITH wanted AS (SELECT {KEY} AS key, seq AS newest_seq FROM previews "
        "WHERE seq IN (SELECT unnest(?))) "
        f"SELECT newest_seq, step, exact_match FROM previews JOIN wanted ON {KEY} = wanted.key "
        f"WHERE {where} AND {COUNTED} ORDER BY seq",
        [[life.newest_seq for life in lives], *values],
    ).fetchall()
    return [TimelineAnswer(*row) for row in rows]


def learned_over_steps(
    cursor: Cursor, wanted: PreviewFilter, *, bins: int = 60
) -> list[tuple[int, int, int]]:
    """(step, examples right by then, examples asked by then), each by its newest answer.

    Where a run was resumed from an earlier step, the answers of before to the steps that it then
    took again are superseded.
    """
    where, values = wanted.where()
    rows = cursor.execute(
        f"""
        WITH asked AS (
            SELECT {KEY} AS key, step, seq, exact_match, max(seq) OVER (PARTITION BY {KEY}
                ORDER BY step, seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newer
            FROM previews WHERE {where} AND {COUNTED}
        ), answers AS (
            SELECT step, exact_match,
                lag(exact_match) OVER (PARTITION BY key ORDER BY step, seq) AS before
            FROM asked WHERE seq > coalesce(newer, 0)
        ), turns AS (
            SELECT step, sum(CASE WHEN exact_match AND before IS NOT TRUE THEN 1
                WHEN before AND NOT exact_match THEN -1 ELSE 0 END) AS gained,
                count(*) FILTER (before IS NULL) AS met FROM answers GROUP BY step
        ), running AS (
            SELECT step, sum(gained) OVER (ORDER BY step)::BIGINT AS correct,
                sum(met) OVER (ORDER BY step)::BIGINT AS asked,
                ntile(?) OVER (ORDER BY step) AS bin FROM turns
        )
        SELECT max(step), arg_max(correct, step), arg_max(asked, step) FROM running
        GROUP BY bin ORDER BY bin
        """,
        [*values, bins],
    ).fetchall()
    return [(step, correct, asked) for step, correct, asked in rows]
