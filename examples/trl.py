"""``python -m examples.trl``: a tiny model, fine-tuned by TRL's ``SFTTrainer`` and recorded.

Model and tokenizer are made on the spot; nothing is downloaded. Needs trl and torch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from examples.tiny import TEXTS, make_model, make_tokenizer

EXAMPLES = [{"prompt": "what is 2 + 2?", "golden": "4", "dataset_id": "sums"}]


def main() -> None:
    """Train for a hundred steps."""
    parser = argparse.ArgumentParser(prog="python -m examples.trl", description=__doc__)
    parser.add_argument("--run-dir", type=Path, default=Path("runs/trl"))
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()

    import datasets
    import trl

    from control_room.integrations.huggingface import ControlRoomCallback

    tokenizer = make_tokenizer()
    trainer = trl.SFTTrainer(
        model=make_model(len(tokenizer)),
        args=trl.SFTConfig(
            output_dir=str(options.run_dir / "checkpoints"),
            max_steps=options.steps,
            logging_steps=1,
            save_steps=50,
            max_length=64,
            use_cpu=True,
            bf16=False,
            report_to=[],
        ),
        train_dataset=datasets.Dataset.from_dict({"text": TEXTS}),
        processing_class=tokenizer,
        callbacks=[
            ControlRoomCallback(
                options.run_dir, examples=EXAMPLES, preview_every_steps=20, max_new_tokens=8
            )
        ],
    )
    trainer.train()
    print(f"Watch it with: make run RUN_DIR={options.run_dir}")


if __name__ == "__main__":
    main()
