"""Charts of the deep analysis: what is not drawn is said."""

from __future__ import annotations

import pytest

from app.charts import evals
from app.charts.base import Chart
from control_room.history.questions.evaluations import Evaluation


def points(all_of: int) -> list[Evaluation]:
    return [Evaluation(step, "d", None, 0.5, 1.0, 0.1, 10, all_of) for step in (1, 2)]


@pytest.mark.parametrize(("all_of", "said"), [(2, ""), (812, "Drawn are 2 of 812 evaluations")])
def test_some_of_the_evaluations_are_told_as_some(all_of: int, said: str) -> None:
    own = points(all_of)
    charts: list[Chart] = [
        evals.eval_em(own),
        evals.eval_value(own, "ce", "CE, nats per token"),
        evals.domain_em(own, (1, 2)),
    ]
    for chart in charts:
        assert chart.left_out.startswith(said) and bool(chart.left_out) is bool(said)
