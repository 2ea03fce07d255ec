"""Which attention heads are dead, collapsed or sinks: rules that are stated, not learned."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

COLLAPSED_SHARE = 0.05  # of the largest entropy at this step
SINK_ATTENTION = 0.9
DEAD_SHARE = 0.01  # of the median gradient norm
COLLAPSING_SHARE = 0.5  # of the entropy that the head had at first

RULES = (
    ("dead", "gradient norm under 1 % of the median of all heads: it learns nothing"),
    ("collapsed", "attention entropy under 5 % of the highest: it looks at one token"),
    ("sink", "over 90 % of its attention on the first token: it looks away"),
    ("collapsing", "attention entropy has halved since the first record"),
)


@dataclass(frozen=True, slots=True)
class HeadFinding:
    """One head that a rule points out. Layers and heads count from 0."""

    layer: int
    head: int
    rule: str
    said: str


def head_findings(
    now: Mapping[str, Sequence[float] | None],
    first: Mapping[str, Sequence[float] | None],
    heads: int,
) -> list[HeadFinding]:
    """What the rules say of each head; ``now`` and ``first`` hold flat arrays, layer by layer.

    Of the rules about entropy only the strongest is told. What is not known is passed over.
    """
    entropy, sink, grad = (
        _finite(now.get(name))
        for name in ("attention_entropy", "first_token_attention", "grad_norm")
    )
    before = _finite(first.get("attention_entropy"))
    highest = max(entropy.values(), default=0.0)
    middle = median(grad.values()) if grad else 0.0
    found = []
    for place in sorted({*entropy, *sink, *grad}):
        layer, head = divmod(place, heads)
        said = []
        if place in grad and middle > 0 and grad[place] < DEAD_SHARE * middle:
            said.append(("dead", f"gradient norm {grad[place]:.2g}, median {middle:.2g}"))
        if place in sink and sink[place] > SINK_ATTENTION:
            said.append(("sink", f"{100 * sink[place]:.0f} % on the first token"))
        if place in entropy and highest > 0 and entropy[place] < COLLAPSED_SHARE * highest:
            said.append(("collapsed", f"entropy {entropy[place]:.3g} of {highest:.3g} nats"))
        elif place in entropy and entropy[place] < COLLAPSING_SHARE * before.get(place, 0.0):
            was = before[place]
            said.append(("collapsing", f"entropy {was:.3g} to {entropy[place]:.3g} nats"))
        found += [HeadFinding(layer, head, rule, told) for rule, told in said]
    return found


def _finite(values: Sequence[float] | None) -> dict[int, float]:
    return {place: value for place, value in enumerate(values or ()) if math.isfinite(value)}
