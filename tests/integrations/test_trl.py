"""TRL's real SFTTrainer takes the same callback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from control_room import RunDir
from tests.integrations.readback import read_back
from tests.integrations.tiny import TEXTS, make_model, make_tokenizer

trl = pytest.importorskip("trl", reason="make test-integrations brings it")
datasets = pytest.importorskip("datasets")

STEPS = 4


def test_a_fine_tuning_is_recorded_with_previews(tmp_path: Path) -> None:
    from control_room.integrations.huggingface import ControlRoomCallback

    run = RunDir(tmp_path / "run")
    tokenizer = make_tokenizer()
    trainer = trl.SFTTrainer(
        model=make_model(tokenizer),
        args=trl.SFTConfig(
            output_dir=str(tmp_path / "out"),
            max_steps=STEPS,
            per_device_train_batch_size=2,
            logging_steps=1,
            save_strategy="no",
            use_cpu=True,
            bf16=False,
            report_to=[],
            max_length=32,
        ),
        train_dataset=datasets.Dataset.from_dict({"text": TEXTS * 8}),
        processing_class=tokenizer,
        callbacks=[
            ControlRoomCallback(
                run.path,
                examples=[{"prompt": "what is 2 + 2?", "golden": "4"}],
                preview_every_steps=2,
                max_new_tokens=4,
            )
        ],
    )
    trainer.train()
    told = [(entry["loss"],) for entry in trainer.state.log_history if "loss" in entry]
    logged = "SELECT loss FROM metrics WHERE loss IS NOT NULL ORDER BY step"
    assert read_back(run, logged) == told
    assert read_back(run, "SELECT step FROM previews ORDER BY step") == [(2,), (4,)]
    assert json.loads(run.status_file.read_text())["status"] == "completed"
