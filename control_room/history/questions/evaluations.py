"""Evaluations of the whole fixed set and of its domains, over the steps."""

from __future__ import annotations

from dataclasses import dataclass

from control_room.history.queries import Cursor
from control_room.statistics.intervals import wilson
from control_room.statistics.overfitting import GapPoint, val_train_gap


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation. ``domain`` None: the whole set; ``count``: examples, where it is told.

    ``all_of``: the evaluations of this domain that there are, of which a list may have fewer.
    """

    step: int
    domain: str | None
    checkpoint_id: str | None
    em: float | None
    ce: float | None
    ece: float | None
    count: int | None
    all_of: int

    @property
    def em_interval(self) -> tuple[float, float] | None:
        """Wilson's; None where EM or the number of examples is not told."""
        if self.em is None or not self.count:
            return None
        return wilson(round(self.em * self.count), self.count)


def evaluations(cursor: Cursor, *, kind: str = "fixed", most: int = 400) -> list[Evaluation]:
    """By domain and step; of more than ``most`` of a domain every n-th, and the newest.

    Of several at one step (a run that went back) the newest counts.
    """
    rows = cursor.execute(
        "WITH newest AS (SELECT * FROM evals WHERE kind = ? "
        "QUALIFY row_number() OVER (PARTITION BY domain, step ORDER BY seq DESC) = 1), "
        "placed AS (SELECT *, row_number() OVER (PARTITION BY domain ORDER BY step DESC) AS place, "
        "count(*) OVER (PARTITION BY domain) AS all_of FROM newest) "
        'SELECT step, domain, checkpoint_id, em, ce, ece, "count", all_of FROM placed '
        "WHERE (place - 1) % ceil(all_of / ?)::BIGINT = 0 ORDER BY domain NULLS FIRST, step",
        [kind, most],
    ).fetchall()
    return [Evaluation(*row) for row in rows]


def gap_points(cursor: Cursor) -> list[GapPoint]:
    """Validation against training loss, as :func:`val_train_gap` has it."""
    queries = (
        "SELECT step, loss FROM metrics WHERE isfinite(loss) ORDER BY step, seq",
        "SELECT step, arg_max(val_loss, seq) FROM metrics WHERE isfinite(val_loss) "
        "GROUP BY step ORDER BY step",
    )
    losses, val_losses = (cursor.execute(query).fetchall() for query in queries)
    return val_train_gap(losses, val_losses)
