"""Each rule points out the head it is about, and no other."""

from __future__ import annotations

import math

import pytest

from control_room.statistics.head_rules import HeadFinding, head_findings

HEALTHY = {
    "attention_entropy": [2.0, 2.1, 1.9, 2.0],
    "first_token_attention": [0.2, 0.1, 0.3, 0.2],
    "grad_norm": [0.5, 0.6, 0.5, 0.4],
}


def findings(**changed: list[float] | None) -> list[HeadFinding]:
    return head_findings({**HEALTHY, **changed}, HEALTHY, heads=2)


def test_healthy_heads_are_not_pointed_out() -> None:
    assert findings() == []


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"grad_norm": [0.5, 0.6, 0.5, 0.001]}, "dead"),
        ({"first_token_attention": [0.2, 0.1, 0.3, 0.95]}, "sink"),
        ({"attention_entropy": [2.0, 2.1, 1.9, 0.05]}, "collapsed"),
        ({"attention_entropy": [2.0, 2.1, 1.9, 0.9]}, "collapsing"),
    ],
)
def test_a_head_is_pointed_out(changed: dict[str, list[float]], rule: str) -> None:
    (found,) = findings(**changed)
    assert (found.layer, found.head, found.rule) == (1, 1, rule)


def test_what_is_not_known_is_passed_over() -> None:
    assert findings(grad_norm=None, attention_entropy=[math.nan] * 4) == []
    assert head_findings({}, {}, heads=2) == []


def test_without_an_earlier_record_nothing_collapses() -> None:
    now = {"attention_entropy": [2.0, 2.0, 2.0, 0.5]}
    assert head_findings(now, {}, heads=2) == []
