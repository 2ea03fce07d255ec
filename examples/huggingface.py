"""``python -m examples.huggingface``: a tiny model, trained by Hugging Face and recorded.

Model and tokenizer are made on the spot; nothing is downloaded. Needs transformers and torch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from examples.tiny import TEXTS, make_model, make_tokenizer

EXAMPLES = [{"prompt": "what is 2 + 2?", "golden": "4", "dataset_id": "sums"}]


def main() -> None:
    """Train for a hundred steps."""
    parser = argparse.ArgumentParser(prog="python -m examples.huggingface", description=__doc__)
    parser.add_argument("--run-dir", type=Path, default=Path("runs/huggingface"))
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()

    import transformers

    from control_room.integrations.huggingface import ControlRoomCallback

    tokenizer = make_tokenizer()
    rows = [tokenizer(text)["input_ids"] for text in TEXTS]
    trainer = transformers.Trainer(
        model=make_model(len(tokenizer)),
        args=transformers.TrainingArguments(
            output_dir=str(options.run_dir / "checkpoints"),
            max_steps=options.steps,
            logging_steps=1,
            save_steps=50,
            use_cpu=True,
            report_to=[],
            include_num_input_tokens_seen=True,
        ),
        data_collator=transformers.DataCollatorForSeq2Seq(tokenizer),
        train_dataset=[{"input_ids": row, "labels": row} for row in rows],
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
