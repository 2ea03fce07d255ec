"""Hugging Face's real Trainer, read back through the history index."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control_room import RunDir
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex
from control_room.history.queries import preview_page
from tests.integrations.tiny import TEXTS, make_model, make_tokenizer

transformers = pytest.importorskip("transformers", reason="make test-integrations brings it")
torch = pytest.importorskip("torch")

STEPS = 12
EXAMPLES = [
    {"prompt": "what is 2 + 2?", "golden": "4", "example_id": "a", "regime": "plain_sft"},
    {"prompt": "what is 3 + 4?", "golden": "7", "example_id": "b"},
]


class Texts(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]  # torch is not there where types are checked
    def __init__(self, tokenizer: Any) -> None:
        self._rows = [tokenizer(text)["input_ids"][:12] for text in TEXTS * 8]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": self._rows[index], "labels": self._rows[index]}


def train(tmp_path: Path, callback: Any, **arguments: Any) -> Any:
    tokenizer = make_tokenizer()
    data = Texts(tokenizer)
    trainer = transformers.Trainer(
        model=make_model(tokenizer),
        args=transformers.TrainingArguments(
            output_dir=str(tmp_path / "out"),
            max_steps=STEPS,
            per_device_train_batch_size=2,
            logging_steps=2,
            eval_strategy="steps",
            eval_steps=6,
            save_steps=6,
            use_cpu=True,
            report_to=[],
            disable_tqdm=True,
            include_num_input_tokens_seen=True,
            **arguments,
        ),
        data_collator=transformers.DataCollatorForSeq2Seq(tokenizer),
        train_dataset=data,
        eval_dataset=data,
        processing_class=tokenizer,
        callbacks=[callback],
    )
    trainer.train()
    return trainer


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, RunDir, Any]]:
    """The trainer after its run, the run directory, and a cursor over its history."""
    from control_room.integrations.huggingface import ControlRoomCallback

    path = tmp_path_factory.mktemp("trained")
    callback = ControlRoomCallback(
        path / "run", examples=EXAMPLES, preview_every_steps=5, max_new_tokens=8
    )
    trainer = train(path, callback)
    run = RunDir(path / "run")
    with HistoryIndex(run) as index:
        index.refresh()
        yield trainer, run, index.cursor()


def test_metrics_are_those_that_the_trainer_reported(trained: tuple[Any, RunDir, Any]) -> None:
    trainer, _, cursor = trained
    told = [entry for entry in trainer.state.log_history if "loss" in entry]
    rows = cursor.execute(
        "SELECT step, loss, learning_rate, grad_norm, epoch FROM metrics "
        "WHERE loss IS NOT NULL ORDER BY step"
    ).fetchall()
    assert rows == [
        (
            entry["step"],
            entry["loss"],
            entry["learning_rate"],
            entry["grad_norm"],
            entry["epoch"],
        )
        for entry in told
    ]


def test_evaluations_are_recorded(trained: tuple[Any, RunDir, Any]) -> None:
    trainer, _, cursor = trained
    told = [
        (entry["step"], entry["eval_loss"])
        for entry in trainer.state.log_history
        if "eval_loss" in entry
    ]
    assert len(told) == 2
    assert (
        cursor.execute("SELECT step, loss FROM evals WHERE kind = 'micro' ORDER BY step").fetchall()
        == told
    )
    val = "SELECT step, val_loss FROM metrics WHERE val_loss IS NOT NULL ORDER BY step"
    assert cursor.execute(val).fetchall() == told


def test_tokens_per_second_are_measured(trained: tuple[Any, RunDir, Any]) -> None:
    _, _, cursor = trained
    rows = cursor.execute("SELECT tokens_per_sec, batch_size FROM throughput").fetchall()
    assert len(rows) >= STEPS // 2
    assert all(speed > 0 and size == 2 for speed, size in rows)


def test_the_model_in_hand_answers_and_training_goes_on(trained: tuple[Any, RunDir, Any]) -> None:
    trainer, _, cursor = trained
    page = preview_page(cursor, PreviewFilter(), limit=100, offset=0)
    assert sorted({row.step for row in page.rows}) == [5, 10, STEPS]
    assert page.total == 3 * len(EXAMPLES)
    one = page.rows[0]
    assert one.model_tokens is not None and one.model_tokens <= 8
    assert one.ce is not None and one.ce > 0
    assert one.exact_match is False
    assert trainer.model.training or trainer.state.global_step == STEPS


def test_the_status_says_completed_with_the_last_checkpoint(
    trained: tuple[Any, RunDir, Any],
) -> None:
    _, run, _ = trained
    status = json.loads(run.status_file.read_text())
    assert status["status"] == "completed"
    assert (status["current_step"], status["total_steps"]) == (STEPS, STEPS)
    assert status["checkpoint_id"] == f"checkpoint-{STEPS}"
    assert status["model_name"] == "LlamaForCausalLM"


def test_a_disk_that_takes_nothing_does_not_stop_training(tmp_path: Path) -> None:
    from control_room.integrations.huggingface import ControlRoomCallback

    (tmp_path / "run").write_text("a file where the directory should be")
    with pytest.warns(UserWarning):
        trainer = train(tmp_path, ControlRoomCallback(tmp_path / "run"))
    assert trainer.state.global_step == STEPS


def test_a_model_that_cannot_generate_keeps_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from control_room.integrations.huggingface import ControlRoomCallback

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no generation head")

    monkeypatch.setattr(transformers.LlamaForCausalLM, "generate", broken)
    callback = ControlRoomCallback(tmp_path / "run", examples=EXAMPLES, preview_every_steps=2)
    with caplog.at_level(logging.ERROR):
        trainer = train(tmp_path, callback)
    assert trainer.state.global_step == STEPS
    assert caplog.text.count("previews are given up") == 1


def test_only_the_main_process_records(tmp_path: Path) -> None:
    from control_room.integrations.huggingface import ControlRoomCallback

    callback = ControlRoomCallback(tmp_path / "run")
    state = transformers.TrainerState(is_world_process_zero=False, max_steps=5)
    arguments = transformers.TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    callback.on_train_begin(arguments, state, None, model=None)
    callback.on_log(arguments, state, None, logs={"loss": 1.0})
    callback.on_train_end(arguments, state, None)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "wrong",
    [{"examples": [{"prompt": "p"}]}, {"preview_every_steps": 0}, {"contracts": "regime3"}],
)
def test_what_makes_no_sense_is_said_at_once(tmp_path: Path, wrong: dict[str, Any]) -> None:
    from control_room.integrations.huggingface import ControlRoomCallback

    with pytest.raises(ValueError, match=next(iter(wrong))):
        ControlRoomCallback(tmp_path / "run", **wrong)
