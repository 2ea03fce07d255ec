"""Every operation of the API, asked in thousands of ways, answers as its description says."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

EXAMPLES = 150  # of each operation that has parameters, and as many that are wrong on purpose
LEAST_CASES = 2_000  # in all


def test_every_answer_is_as_described(address: str) -> None:
    described = schemathesis.openapi.from_url(f"{address}/api/openapi.json")
    cases = 0
    results: list[Any] = list(described.get_all_operations())
    for operation in (result.ok() for result in results):
        for mode in schemathesis.GenerationMode:

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                derandomize=True,  # the same cases everywhere: a failure is one of the change
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: Any) -> None:
                nonlocal cases
                cases += 1
                case.call_and_validate(base_url=address, timeout=30)

            # Without parameters there is nothing to get wrong.
            with suppress(Unsatisfiable):
                ask()
    assert cases >= LEAST_CASES, "fewer cases than this test is for"
