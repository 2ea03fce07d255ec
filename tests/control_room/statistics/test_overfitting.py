"""Where overfitting begins: by the rule, and never without enough to go by."""

from __future__ import annotations

from control_room.statistics.overfitting import GapPoint, overfitting_onset, val_train_gap


def points(*pairs: tuple[float, float]) -> list[GapPoint]:
    return [GapPoint(100 * number, val, loss) for number, (val, loss) in enumerate(pairs)]


def test_it_begins_at_the_lowest_validation_loss() -> None:
    found = points((2.0, 2.0), (1.5, 1.6), (1.2, 1.2), (1.3, 1.0), (1.4, 0.8), (1.5, 0.6))
    assert overfitting_onset(found) == 200


def test_while_validation_falls_there_is_none() -> None:
    assert overfitting_onset(points(*((2 - n / 10, 2 - n / 9) for n in range(10)))) is None


def test_two_bad_evaluations_are_not_enough() -> None:
    assert overfitting_onset(points((1.2, 1.2), (1.3, 1.0), (1.4, 0.8))) is None


def test_where_training_gets_worse_too_it_is_something_else() -> None:
    assert overfitting_onset(points((1.2, 1.2), (1.3, 1.3), (1.4, 1.4), (1.5, 1.5))) is None


def test_a_rise_that_is_no_rise_does_not_count() -> None:
    assert overfitting_onset(points((1.2, 1.2), (1.205, 1), (1.205, 1), (1.205, 1))) is None


def test_the_training_loss_is_the_mean_of_the_fifty_steps_before() -> None:
    losses = [(step, float(step)) for step in range(1, 201)]
    (first, second) = val_train_gap(losses, [(10, 1.0), (200, 1.0)])
    assert first.loss == sum(range(1, 11)) / 10
    assert second.loss == sum(range(151, 201)) / 50
    assert second.gap == 1.0 - second.loss


def test_an_evaluation_before_any_training_loss_has_no_gap() -> None:
    assert val_train_gap([(5, 1.0)], [(1, 2.0)]) == []
