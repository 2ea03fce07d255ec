"""What the demo's preview runner is told: its server, its examples, how many to ask."""

from __future__ import annotations

import json

from control_room import RunDir
from examples.tasks import fixed_eval

EXAMPLES = "preview_examples.jsonl"

_SETTINGS = """\
# Written by the demo at each start.
[server]
url = "{url}"
concurrency = 2
timeout_s = 30

[decoding]
max_tokens = 72

[[examples]]
file = "{examples}"
source_pool = "fixed_eval"

[preview]           # a round for each checkpoint
examples = 16
failures = 4
deadline_s = 120

[eval]              # the trainer itself evaluates on these
examples = 64
every = 0

[samples]           # how much the answers agree
examples = 8
every = 2
samples = 6
temperature = 0.8
deadline_s = 120

[checkpoints]
settle_s = 0        # the index names them when they are whole
"""


def write_round_settings(run: RunDir, url: str, *, seed: int = 0) -> None:
    """Write ``previews.toml`` and the examples that it names into a demo's run directory."""
    lines = [
        json.dumps(
            {
                "id": example.example_id,
                "messages": [
                    {"role": "user", "content": example.prompt},
                    {"role": "assistant", "content": example.golden},
                ],
                "dataset": example.dataset_id,
                "regime": example.regime,
                "pattern": example.pattern,
            }
        )
        for example in fixed_eval(seed)
    ]
    (run.path / EXAMPLES).write_text("\n".join(lines) + "\n", encoding="utf-8")
    run.previews_file.write_text(_SETTINGS.format(url=url, examples=EXAMPLES), encoding="utf-8")
