"""The runner's settings: the user's own ``previews.toml``, over that of the run directory.

The run's sets only what is marked as ``RUN_MAY_SET``: what is asked and what counts as right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from control_room.judging.contracts import DEFAULT_CONTRACTS, Contracts, checks_from
from control_room.judging.scorers import Scorer, scorer_of
from control_room.previews.checkpoints import Checkpoint
from control_room.previews.of_run import bounded
from control_room.rundir import RunDir
from control_room.security.address import Address
from control_room.security.secret import Secret, key_from
from control_room.settings.files import SettingsFile, UnreadableSettings, own_files
from control_room.settings.layers import (
    RUN_MAY_SET,
    anchored,
    merged,
    run_settings,
    told_wrong,
    with_run,
)

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
Pool = Annotated[str, Field(min_length=1)]


class ConfigError(ValueError):
    """A setting is wrong or missing. The message names each one."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Server(_Section):
    """Whom to ask, and how a checkpoint becomes the model that answers."""

    url: Annotated[Address, PlainValidator(Address.of)]  # the root, without /v1
    api: Literal["chat", "completions"] = "chat"
    model: str = "{checkpoint}"  # may hold {checkpoint} and {step}
    # How the daemon trainer's inference server is told to load the checkpoint first.
    load: Literal["none", "set_active", "reload", "pool"] = "none"
    model_path: str | None = None  # where it finds one; holds {checkpoint} or {step}
    load_timeout_s: Seconds = 300.0
    api_key_file: Path | None = None
    api_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    concurrency: Count = 8
    timeout_s: Seconds = 120.0  # of one answer
    attempts: Count = 4
    longest_pause_s: Seconds = 30.0  # between two attempts

    @property
    def names_a_model(self) -> bool:
        """Whether the settings say what to ask for; else the server's own word for it counts."""
        return "model" in self.model_fields_set

    def path_of(self, checkpoint: Checkpoint) -> str | None:
        """Where the server finds the checkpoint; None: it is not told."""
        return None if self.model_path is None else checkpoint.filled_into(self.model_path)

    @model_validator(mode="after")
    def _path_fits(self) -> Self:
        example = 'as the server sees it, such as "/srv/models/{checkpoint}"'
        if self.model_path is None:
            if self.load == "reload":
                raise ValueError(f'load = "reload" needs model_path: a checkpoint {example}')
        elif self.load not in ("reload", "pool"):
            raise ValueError('model_path needs load = "reload" or load = "pool"')
        elif "{checkpoint}" not in self.model_path and "{step}" not in self.model_path:
            raise ValueError(
                "model_path holds neither {checkpoint} nor {step}: it is where the server finds a "
                f"checkpoint {example}"
            )
        return self

    def key(self) -> Secret | None:
        """The key as it is now. Raises :class:`control_room.security.secret.BadSecret`."""
        return key_from(self.api_key_file, self.api_key_env)


class Decoding(_Section):
    """How answers are drawn."""

    max_tokens: Count = 256
    temperature: Annotated[float, Field(ge=0)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    samples: Count = 1  # of each example
    seed: int | None = None
    log_probs: bool = True  # ask for them; a server that cannot is asked without
    golden_ce: bool = True  # with api = "completions", where the server echoes log-probabilities

    @model_validator(mode="after")
    def _samples_differ(self) -> Self:
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("samples above 1 need a temperature above 0: they would be the same")
        return self


class ExampleFile(_Section):
    """A JSONL file of examples, and what its examples are when they do not say."""

    file: Path  # relative to the settings file
    source_pool: Pool = "fixed_eval"
    dataset_id: str | None = None
    regime: str | None = None
    pattern: str | None = None
    inside: bool = False  # is opened only where it lies in the run; a run's own always are


class Round(_Section):
    """One kind of round; what the kinds have for a default of their own stands there."""

    examples: Count
    every: Annotated[int, Field(ge=0)] = 1  # checkpoints; 0: never
    pools: tuple[Pool, ...] = ()  # none: all
    failures: Annotated[int, Field(ge=0)] = 0  # recent wrong answers, asked again on top
    seed: int = 0  # of the choice of examples
    deadline_s: Seconds = 1800.0
    token_budget: Count | None = None  # prompt and answer tokens together


class PreviewRound(Round):
    """The round that each checkpoint gets."""

    examples: Count = 32
    failures: Annotated[int, Field(ge=0)] = 8
    deadline_s: Seconds = 600.0


class EvalRound(Round):
    """The larger one that some checkpoints get, of the fixed set."""

    examples: Count = 500
    every: Annotated[int, Field(ge=0)] = 5
    pools: tuple[Pool, ...] = ("fixed_eval",)


class SamplesRound(Round):
    """Rounds that ask each example several times, to see how much the answers agree."""

    examples: Count = 32
    every: Annotated[int, Field(ge=0)] = 0
    samples: Annotated[int, Field(ge=2)] = 8
    temperature: Annotated[float, Field(gt=0)] = 0.8


class Scoring(_Section):
    """A scorer for the datasets that match one of the globs."""

    datasets: Annotated[tuple[str, ...], Field(min_length=1)]
    scorer: str
    options: dict[str, Any] = {}

    @model_validator(mode="after")
    def _exists(self) -> Self:
        scorer_of(self.scorer, self.options)
        return self


Checks = Annotated[tuple[Any, ...], PlainValidator(checks_from)]  # of judging.contracts.Check


class Checkpoints(_Section):
    """Where checkpoints appear: the run's retention index, or a directory of them."""

    directory: Path | None = None  # default: the run's own, by its index where there is one
    pattern: str = "checkpoint-*"  # the step is the last number of a name
    poll_s: Seconds = 2.0
    settle_s: Annotated[float, Field(ge=0)] = 2.0  # untouched for so long: written whole


class Queue(_Section):
    """Where rounds wait: in the run's cache, or in a Redis that several machines share."""

    redis_url: SecretStr | None = None  # may hold a password

    @field_validator("redis_url")
    @classmethod
    def _is_one(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:
            return None
        try:
            parts = urlsplit(url.get_secret_value())
            usable = parts.scheme in ("redis", "rediss", "unix") and (parts.port or 1) > 0
        except ValueError:
            usable = False
        if not usable:
            raise ValueError(
                "expected redis://NAME:PORT/0; in a password write @ as %40, / as %2F and # as %23"
            )
        Secret(url.get_secret_value())
        if parts.password is not None:
            Secret(unquote(parts.password))
        return url


class Config(_Section):
    """All settings. ``base`` is what relative paths are relative to."""

    server: Server
    examples: Annotated[tuple[ExampleFile, ...], Field(min_length=1), RUN_MAY_SET]
    decoding: Decoding = Decoding()
    preview: PreviewRound = PreviewRound()
    eval: EvalRound = EvalRound()
    samples: SamplesRound = SamplesRound()
    scoring: Annotated[tuple[Scoring, ...], RUN_MAY_SET] = ()
    # By regime, over those that there are without any; see judging.contracts.
    contracts: Annotated[dict[str, Checks], Field(max_length=100), RUN_MAY_SET] = {}
    checkpoints: Checkpoints = Checkpoints()
    queue: Queue = Queue()
    base: Path = Path()

    def decoding_of(self, kind: str) -> Decoding:
        """How the answers of one kind of round are drawn."""
        if kind != "samples":
            return self.decoding
        asked = {"samples": self.samples.samples, "temperature": self.samples.temperature}
        return self.decoding.model_copy(update=asked)

    @property
    def all_contracts(self) -> Contracts:
        """What each regime asks of an answer's form."""
        return {**DEFAULT_CONTRACTS, **self.contracts}

    def scorer(self, dataset_id: str | None) -> Scorer | None:
        """The scorer of the first entry that matches; None: the text decides."""
        return scorer_for(self.scoring, dataset_id)


def scorer_for(scoring: tuple[Scoring, ...], dataset_id: str | None) -> Scorer | None:
    """The scorer of the first entry whose globs match the dataset; None when none does."""
    for entry in scoring:
        if any(fnmatchcase(dataset_id or "", glob) for glob in entry.datasets):
            return scorer_of(entry.scorer, entry.options)
    return None


def load_config(file: Path) -> Config:
    """The settings of the user's own file alone. Raises :class:`ConfigError`."""
    own, _ = _own(file.name, file, file.parent, file.parent)
    return _build(own, {}, file.parent.resolve())[0]


def load_config_for(
    run: RunDir, file: Path | None = None, *, working_dir: Path | None = None
) -> tuple[Config, tuple[str, ...]]:
    """The user's own settings over the run's, and for a person what of the run's is not taken.

    The user's are those of ``file``, else those of the working directory over those of the user's
    configuration directory. Relative paths are taken from the file that tells them. Raises
    :class:`ConfigError`.
    """
    working_dir = Path.cwd() if working_dir is None else working_dir
    of_run = run.previews_file
    own, strangers = _own(of_run.name, file, working_dir, run.path)
    allowed, left_out = run_settings(Config, of_run, strangers, own)
    taken, refused = bounded(run, allowed)
    left_out += told_wrong(of_run, refused)
    base = (own[0].path.parent if own else working_dir).resolve()
    try:
        config, wrong = _build(own, taken, base)
    except ConfigError as error:
        raise ConfigError("\n".join([str(error), *left_out])) from None
    return config, (*left_out, *told_wrong(of_run, wrong))


def _own(
    name: str, file: Path | None, working_dir: Path, run: Path
) -> tuple[list[SettingsFile], list[Path]]:
    try:
        return own_files(name, file, working_dir, lambda _: run)
    except UnreadableSettings as error:
        raise ConfigError(f"{error}\n{_EXAMPLE}") from None


def _build(
    own: Sequence[SettingsFile], of_run: Mapping[str, Any], base: Path
) -> tuple[Config, list[tuple[str, str]]]:
    told = merged(*(anchored(Config, each.table, each.path.parent) for each in reversed(own)))
    files = " and ".join(str(each.path) for each in own if each.table) or "your own previews.toml"
    try:
        return with_run(lambda layers: Config(**layers, base=base), of_run, told)
    except ValidationError as error:
        lines = [f"{_name(item)}: {_said(item)}" for item in error.errors(include_url=False)]
        example = [] if "server" in told else [_EXAMPLE]
        raise ConfigError(
            "\n".join([f"wrong settings in {files}:", *(f"  {line}" for line in lines), *example])
        ) from None
    except TypeError as error:
        raise ConfigError(f"wrong settings in {files}: {error}") from None


_EXAMPLE = (
    "Your own previews.toml says which server to ask, and which examples where the run does not: "
    "name it with --config, or keep it where you start the runner or in ~/.config/control-room.\n"
    '  [server]\n  url = "http://127.0.0.1:8000"\n'
    '  [[examples]]\n  file = "examples.jsonl"'
)


def _name(item: Any) -> str:
    return ".".join(str(part) for part in item["loc"]) or "settings"


def _said(item: Any) -> str:
    told = {"extra_forbidden": "no such setting", "missing": "is needed"}
    return told.get(item["type"], str(item["msg"]).removeprefix("Value error, "))
