"""Other ideas of "right" than the same text: JSON, numbers, the last line, a choice.

A scorer takes the golden answer and the model's, both without their regime's wrapping, and says
whether the model's is right. Name one by its dotted name; see :func:`scorer_of`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

from control_room.judging.contracts import DEFAULT_CONTRACTS, Contracts
from control_room.judging.scoring import Score, same_json, score, strip_contract

Scorer = Callable[[str, str], bool]

_NUMBER = re.compile(r"[-+−]?(?:\d[\d,_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?%?")
_FENCE = re.compile(r"```[\w-]*\n(.*?)```", re.DOTALL)
_CHOICE = re.compile(r"(?<![A-Za-z])\(?([A-Za-z])[).:]?(?![A-Za-z'’])")
_ANNOUNCED = re.compile(
    r"(?:answer|choice|option)\s*(?:(?:is|:|=)\s*)?[*_(\[]*([A-Za-z])(?![A-Za-z'’])",
    re.IGNORECASE,
)


def json_equal(golden: str, answer: str) -> bool:
    """The same JSON value, whatever its layout; a fenced block counts for what is in it."""
    fenced = _FENCE.search(answer)
    try:
        return same_json(json.loads(golden), json.loads(fenced[1] if fenced else answer))
    except (ValueError, RecursionError):
        return False


def numeric(golden: str, answer: str, *, tolerance: float = 1e-6) -> bool:
    """The last number of each, the same within a relative (and below 1, absolute) tolerance."""
    wanted, given = _last_number(golden), _last_number(answer)
    if wanted is None or given is None:
        return False
    return math.isclose(wanted, given, rel_tol=tolerance, abs_tol=tolerance)


def last_line(golden: str, answer: str) -> bool:
    """The last line that is not empty, the same but for space and case."""
    return _last_line(golden) == _last_line(answer) != ""


def regex(golden: str, answer: str, *, pattern: str) -> bool:
    """What ``pattern`` captures last (its first group, else all of it), the same in both.

    A golden answer in which it finds nothing counts as the capture itself.
    """
    wanted, given = _captured(pattern, golden), _captured(pattern, answer)
    return given is not None and given == (golden.strip() if wanted is None else wanted)


def multiple_choice(golden: str, answer: str) -> bool:
    """The same letter: the one announced ("the answer is B"), else the last that stands alone."""
    wanted, given = _choice(golden), _choice(answer)
    return wanted is not None and wanted == given


# A run directory may name all but the one that takes an expression: Python's may never end.
BUILT_IN: Mapping[str, Callable[..., bool]] = {
    each.__name__: each for each in (json_equal, numeric, last_line, regex, multiple_choice)
}
BOUNDED: Mapping[str, Callable[..., bool]] = {
    name: each for name, each in BUILT_IN.items() if each is not regex
}


def scorer_of(name: str, options: Mapping[str, Any] | None = None) -> Scorer:
    """The scorer of a name such as ``numeric``, or ``module:function`` for one of your own.

    The latter imports the module, and so runs it: such a name must be of who may do that. Raises
    ``ValueError`` saying what cannot be found or called.
    """
    found = built_in(name)
    if found is None:
        module, _, attribute = name.rpartition(":" if ":" in name else ".")
        if not module or not attribute:
            known = ", ".join(BUILT_IN)
            raise ValueError(f"the scorer {name!r} is none of {known}, nor module:function")
        try:
            found = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"the scorer {name} cannot be loaded: {error}") from None
        if not callable(found):
            raise ValueError(f"the scorer {name} is no function")
    scorer: Scorer = partial(found, **(options or {}))
    try:
        scorer("", "")
        if found in BUILT_IN.values():
            scorer("1", "1")
    except (TypeError, OverflowError, re.error) as error:
        raise ValueError(f"the scorer {name} does not take these options: {error}") from None
    return scorer


def built_in(name: str) -> Callable[..., bool] | None:
    """The scorer of this module's with that name, which may be told with the module's."""
    return BUILT_IN.get(name.removeprefix(f"{__name__}."))


def score_with(
    scorer: Scorer,
    golden: str,
    answer: str,
    regime: str | None = None,
    *,
    hit_token_limit: bool = False,
    server_failed: bool = False,
    contracts: Contracts = DEFAULT_CONTRACTS,
) -> Score:
    """As :func:`score`, with ``scorer`` to say what an exact match is."""
    plain = score(
        golden,
        answer,
        regime,
        hit_token_limit=hit_token_limit,
        server_failed=server_failed,
        contracts=contracts,
    )
    if plain.error is not None:
        return plain
    right = scorer(
        strip_contract(regime, golden, contracts=contracts),
        strip_contract(regime, answer, contracts=contracts),
    )
    if right:
        kept = all(plain.contract_status.values())
        return replace(
            plain,
            exact_match=True,
            normalized_match=True,
            failure_mode=None if kept else "contract_violation",
        )
    # The text may be the same and the scorer still say no.
    return replace(
        plain,
        exact_match=False,
        normalized_match=False,
        failure_mode=plain.failure_mode or "wrong_content",
    )


def _last_number(text: str) -> float | None:
    found = _NUMBER.findall(text)
    for written in reversed(found):
        plain = written.replace(",", "").replace("_", "").replace("−", "-")
        try:
            return float(plain.removesuffix("%"))
        except ValueError:
            continue
    return None


def _last_line(text: str) -> str:
    lines = [" ".join(line.split()).casefold() for line in text.splitlines()]
    return next((line for line in reversed(lines) if line), "")


def _captured(pattern: str, text: str) -> str | None:
    found = list(re.finditer(pattern, text))
    if not found:
        return None
    last = found[-1]
    return str(last[1] if last.re.groups else last[0]).strip()


def _choice(text: str) -> str | None:
    announced = _ANNOUNCED.findall(text)
    found = announced or _CHOICE.findall(text)
    return found[-1].upper() if found else None
