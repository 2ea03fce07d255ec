"""The runner's settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from control_room.judging.contracts import DEFAULT_CONTRACTS
from control_room.judging.scoring import score
from control_room.previews.config import ConfigError, load_config, load_config_for
from control_room.rundir import RunDir

LEAST = '[server]\nurl = "http://127.0.0.1:8000"\n[[examples]]\nfile = "set.jsonl"\n'


def load(tmp_path: Path, text: str) -> object:
    (tmp_path / "previews.toml").write_text(text)
    return load_config(tmp_path / "previews.toml")


def test_a_server_and_examples_are_enough(tmp_path: Path) -> None:
    (tmp_path / "previews.toml").write_text(LEAST)
    config = load_config(tmp_path / "previews.toml")
    assert (config.server.concurrency, config.decoding.samples, config.preview.every) == (8, 1, 1)
    assert config.eval.every == 5
    assert config.base == tmp_path
    assert config.scorer("math") is None


def test_without_a_file_it_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[\[examples\]\]"):
        load_config(tmp_path / "previews.toml")


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ("[decoding]\nsamples = 4\n", "temperature above 0"),
        ("[serve]\n", "serve: no such setting"),
        ("[preview]\nexamples = 0\n", "preview.examples: Input should be greater"),
        ('[[scoring]]\ndatasets = ["m*"]\nscorer = "no.such"\n', "cannot be loaded"),
        ('[[contracts.mine]]\ncheck = "regex"\n', r"contracts\.mine: check = 'regex' is none of"),
        ("[contracts]\nmine = 3\n", r"contracts\.mine: expected a list of checks"),
        ('base = "x"\n', "base"),
        ("x = = 1", "cannot be read"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, more: str, word: str) -> None:
    text = more + LEAST if more.startswith("base") else LEAST + more
    with pytest.raises(ConfigError, match=word):
        load(tmp_path, text)


@pytest.mark.parametrize("kind", ["preview", "eval", "samples"])
def test_one_setting_of_a_kind_of_round_leaves_its_others_as_they_are(
    tmp_path: Path, kind: str
) -> None:
    usual = getattr(load(tmp_path, LEAST), kind)
    changed = getattr(load(tmp_path, f"{LEAST}[{kind}]\ndeadline_s = 7\n"), kind)
    assert changed == usual.model_copy(update={"deadline_s": 7})


@pytest.mark.parametrize(
    ("server", "word"),
    [
        ('load = "reload"', r"needs model_path: .*as the server sees it"),
        ('load = "reload"\nmodel_path = "/srv/newest"', r"neither \{checkpoint\} nor \{step\}"),
        ('model_path = "/srv/{checkpoint}"', r'needs load = "reload" or load = "pool"'),
    ],
)
def test_where_the_server_finds_a_checkpoint_goes_with_how_it_loads_it(
    tmp_path: Path, server: str, word: str
) -> None:
    with pytest.raises(ConfigError, match=word):
        load(tmp_path, LEAST.replace("[server]", f"[server]\n{server}"))


def test_scorers_go_by_globs_of_datasets(tmp_path: Path) -> None:
    more = '[[scoring]]\ndatasets = ["gsm*"]\nscorer = "control_room.scorers.numeric"\n'
    (tmp_path / "previews.toml").write_text(LEAST + more)
    config = load_config(tmp_path / "previews.toml")
    scorer = config.scorer("gsm8k")
    assert scorer is not None and scorer("4", "it is 4")
    assert config.scorer(None) is None


BULLETS = """
[[contracts.bullets]]
check = "prefix_repeat"
name = "bullet"
symbols = ["*"]
min_repeats = 1
max_repeats = 1
"""


def test_a_regime_is_added_by_its_contract(tmp_path: Path) -> None:
    (tmp_path / "previews.toml").write_text(LEAST + BULLETS)
    contracts = load_config(tmp_path / "previews.toml").all_contracts
    found = score("4", "* 4", "bullets", contracts=contracts)
    assert (found.exact_match, found.contract_status) == (True, {"bullet": True})
    assert set(contracts) == {*DEFAULT_CONTRACTS, "bullets"}


def test_a_run_brings_contracts_which_the_users_replace_and_a_wrong_one_is_left_out(
    tmp_path: Path,
) -> None:
    run, own = RunDir(tmp_path / "run"), tmp_path / "own"
    run.path.mkdir()
    own.mkdir()
    theirs = BULLETS.replace("bullets", "theirs")
    run.previews_file.write_text(
        f'{BULLETS.replace("*", "-")}{theirs}[[contracts.slow]]\ncheck = "regex"\n'
    )
    (own / "previews.toml").write_text(LEAST + BULLETS)
    config, left_out = load_config_for(run, working_dir=own)
    of_user = score("4", "- 4", "bullets", contracts=config.all_contracts)
    assert of_user.contract_status == {"bullet": False}
    assert set(config.contracts) == {"bullets", "theirs"}
    (told,) = left_out
    assert "contracts.slow" in told and "check = 'regex' is none of" in told
