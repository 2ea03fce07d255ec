"""Every setting in one typed object: defaults, then ``control_room.toml``, environment, flags.

Where the file is looked for: the run directory, then the working directory.
"""

from __future__ import annotations

import difflib
import os
import socket
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from collectors.ssh_reading import SshTarget
from control_room.history.patterns import PatternRule
from control_room.retention import COMPRESS_AFTER_DAYS, DELETE_AFTER_DAYS
from control_room.rundir import RunDir

ENV_PREFIX = "CONTROL_ROOM_"
FILE_NAME = "control_room.toml"

Percent = Annotated[float, Field(ge=0, le=100)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
ZoneSeconds = Annotated[float, Field(ge=0.5, le=3600)]  # below, a page would never come to rest


class SettingsError(ValueError):
    """A setting is wrong. The message names each one, its value and what is allowed."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Intervals(_Section):
    """How often each source is looked at, and each zone of the live page is redrawn, in seconds."""

    training_s: Seconds = 0.25  # an unchanged status file costs one stat
    previews_s: Seconds = 0.5
    gpu_s: Seconds = 2.0
    host_s: Seconds = 5.0
    queues_s: Seconds = 5.0
    runner_s: Seconds = 1.0
    evals_s: Seconds = 2.0
    machines_s: Seconds = 5.0  # those that are reached over SSH or HTTP
    machine_timeout_s: Seconds = 5.0  # of each step on the way to one
    live_zone_s: ZoneSeconds = 1.0
    hardware_zone_s: ZoneSeconds = 2.0
    preview_zone_s: ZoneSeconds = 3.0
    eval_zone_s: ZoneSeconds = 5.0


class Liveness(_Section):
    """When silence becomes a stall.

    A run may be silent for ``slowest_interval_factor`` times the slowest interval it has shown,
    at least ``min_s``; a phase that is known to take long may be silent for its own time.
    """

    slowest_interval_factor: Annotated[float, Field(ge=1)] = 6.0
    min_s: Annotated[float, Field(gt=0)] = 90.0
    saving_s: Annotated[float, Field(gt=0)] = 600.0
    evaluating_s: Annotated[float, Field(gt=0)] = 1800.0
    previewing_s: Annotated[float, Field(gt=0)] = 1800.0


class Thresholds(_Section):
    """Where a health light changes colour."""

    gpu_temp_margin_c: Annotated[float, Field(ge=0)] = 8.0  # warn this close to the card's limit
    gpu_temp_warning_c: float = 80.0  # used where the card tells no limit
    gpu_temp_critical_c: float = 90.0
    throughput_degraded_ratio: Fraction = 0.8  # of the baseline
    throughput_excellent_ratio: Annotated[float, Field(ge=1)] = 1.1
    disk_warning_pct: Percent = 90.0
    ram_warning_pct: Percent = 95.0
    val_train_gap_warning: float = 0.3
    val_train_gap_overfitting: float = 0.5

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.gpu_temp_warning_c >= self.gpu_temp_critical_c:
            raise ValueError("gpu_temp_warning_c must be below gpu_temp_critical_c")
        if self.val_train_gap_warning >= self.val_train_gap_overfitting:
            raise ValueError("val_train_gap_warning must be below val_train_gap_overfitting")
        return self


class Heatmap(_Section):
    """Length bins in tokens, the limits of its colours, and how few samples are marked as few."""

    bin_edges: tuple[Annotated[int, Field(ge=0)], ...] = (0, 50, 100, 200)
    green_above: Fraction = 0.8
    yellow_above: Fraction = 0.6
    few_samples: Annotated[int, Field(ge=0)] = 10

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.bin_edges or list(self.bin_edges) != sorted(set(self.bin_edges)):
            raise ValueError("bin_edges must rise, e.g. [0, 50, 100, 200]")
        if self.yellow_above >= self.green_above:
            raise ValueError("yellow_above must be below green_above")
        return self


class Pattern(_Section):
    """Names a kind of task, by globs of datasets and regular expressions searched in prompts."""

    pattern: Annotated[str, Field(min_length=1)]
    datasets: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _of_use(self) -> Self:
        if not self.datasets and not self.prompts:
            raise ValueError("give datasets (globs) or prompts (regular expressions)")
        self.rule()
        return self

    def rule(self) -> PatternRule:
        """The rule that this is."""
        return PatternRule(self.pattern, self.datasets, self.prompts)


class History(_Section):
    """The index of the logs; ``patterns`` name what a record does not: the first that matches."""

    refresh_s: Seconds = 1.0
    memory_limit_mb: Annotated[int, Field(ge=64)] = 512
    rows_per_page: Annotated[int, Field(ge=10, le=1000)] = 100
    sql_timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    sql_max_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    patterns: tuple[Pattern, ...] = ()


class Previews(_Section):
    """What the pages may ask of the preview runner."""

    allow_requests: bool = False  # show the button that asks for a round now


class Notes(_Section):
    """Notes on the run."""

    allow_writing: bool = True  # show the line that adds one


class Retention(_Section):
    """Whether the app itself compresses and deletes old days of the run's logs, once an hour."""

    enabled: bool = False
    compress_after_days: Annotated[int, Field(ge=1)] = COMPRESS_AFTER_DAYS
    delete_after_days: Annotated[int, Field(ge=2)] = DELETE_AFTER_DAYS
    form: Literal["gzip", "parquet"] = "gzip"

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.delete_after_days <= self.compress_after_days:
            raise ValueError("delete_after_days must be above compress_after_days")
        return self


Origin = Annotated[str, Field(pattern=r"^https?://[^/\s*]+$")]


class Api(_Section):
    """Which other sites' pages may read the API in a browser: ``https://name:port``. None: none."""

    allowed_origins: tuple[Origin, ...] = ()


class Ssh(_Section):
    """How a machine is reached over SSH; what is not set comes from ``config_file``."""

    host: Annotated[str, Field(min_length=1)]  # a name, an address, or an alias of config_file
    user: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    key_file: Path | None = None
    config_file: Path = Path("~/.ssh/config")
    known_hosts_file: Path | None = None
    verify_host_key: bool = True
    disk: str = "/"  # the directory whose disk is watched there

    def target(self, timeout_s: float) -> SshTarget:
        """Where to connect to, with ``timeout_s`` for each step."""
        return SshTarget(**self.model_dump(exclude={"disk"}), timeout_s=timeout_s)


class Http(_Section):
    """How a machine's inference server is reached. Keys stand in a file or in the environment."""

    url: Annotated[str, Field(pattern=r"^https?://[^/\s]+")]  # without /v1
    api: Literal["auto", "native", "openai"] = "auto"
    api_key_file: Path | None = None
    api_key_env: str | None = None

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.api_key_file is not None and self.api_key_env is not None:
            raise ValueError("set api_key_file or api_key_env, not both")
        return self

    def key(self) -> str | None:
        """The key as it is now. Raises OSError when its file cannot be read."""
        if self.api_key_file is not None:
            return self.api_key_file.expanduser().read_text(encoding="utf-8").strip()
        return None if self.api_key_env is None else os.environ.get(self.api_key_env)


class Machine(_Section):
    """A machine to watch: this one (``local``), or one reached over SSH, HTTP or both."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    role: Literal["training", "inference"]
    local: bool = False
    ssh: Ssh | None = None
    http: Http | None = None

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if not self.local and self.ssh is None and self.http is None:
            raise ValueError("say how it is reached: local = true, ssh = {...} or http = {...}")
        if self.local and self.ssh is not None:
            raise ValueError("a machine is local or reached over SSH, not both")
        return self


class Settings(BaseSettings):
    """What the app may be told. Frozen; made once at the start and handed down."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    run_dir: Path = Path()
    runs: tuple[str, ...] = ()  # more run directories, or globs of them, to choose from
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8501
    # Directories outside of a run that links in it may lead to, as to a large disk.
    follow_links: tuple[Path, ...] = ()
    machine_name: str | None = None  # how this machine is called on the page; else its host name
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    intervals: Intervals = Intervals()
    liveness: Liveness = Liveness()
    thresholds: Thresholds = Thresholds()
    heatmap: Heatmap = Heatmap()
    history: History = History()
    previews: Previews = Previews()
    notes: Notes = Notes()
    api: Api = Api()
    retention: Retention = Retention()
    machines: tuple[Machine, ...] = ()  # none: this machine alone, training

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        names = [machine.name for machine in self.machines]
        if len(set(names)) != len(names):
            raise ValueError(f"machines: two have the same name: {names}")
        if sum(machine.local for machine in self.machines) > 1:
            raise ValueError("machines: only one can be local")
        return self

    @property
    def run(self) -> RunDir:
        """The run that is watched."""
        return self.run_in(self.run_dir)

    def run_in(self, directory: Path) -> RunDir:
        """Any run, with the directories that its links may lead to."""
        return RunDir(directory, tuple(each.expanduser() for each in self.follow_links))

    @property
    def watched_machines(self) -> tuple[Machine, ...]:
        """The machines that are set, else this one."""
        own = self.machine_name or socket.gethostname()
        return self.machines or (Machine(name=own, role="training", local=True),)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what :func:`load_settings` passes: it reads the sources itself, to name them."""
        return (init_settings,)


def load_settings(
    flags: Mapping[str, Any] | None = None, *, working_dir: Path | None = None
) -> Settings:
    """Merge defaults, settings files, environment and ``flags`` (nested mappings), in that order.

    ``run_dir`` comes back absolute. Raises :class:`SettingsError` when anything is wrong.
    """
    working_dir = Path.cwd() if working_dir is None else working_dir
    from_flags = dict(flags or {})
    from_env = _from_environment()
    from_working_dir = _from_file(working_dir / FILE_NAME)
    told = _merge(from_working_dir, from_env, from_flags)
    run_dir = (working_dir / str(told.get("run_dir", "."))).expanduser().resolve()
    from_run_dir = {} if run_dir == working_dir.resolve() else _from_file(run_dir / FILE_NAME)
    sources = {
        "a flag": from_flags,
        "the environment": from_env,
        str(run_dir / FILE_NAME): from_run_dir,
        str(working_dir / FILE_NAME): from_working_dir,
    }
    merged = _merge(*reversed(list(sources.values())))
    merged["run_dir"] = run_dir
    if isinstance(merged.get("runs"), list | tuple):
        merged["runs"] = [str(working_dir / Path(each).expanduser()) for each in merged["runs"]]
    if run_dir.exists() and not run_dir.is_dir():
        raise SettingsError(f"run_dir = {str(run_dir)!r}: is a file; name the run's directory")
    try:
        return Settings(**merged)
    except ValidationError as error:
        raise SettingsError(_explain(error, sources)) from None


def setting_defaults() -> Iterator[tuple[str, object]]:
    """Every setting's dotted name and default, in the order they are defined."""
    for name, value in Settings():
        if isinstance(value, _Section):
            yield from ((f"{name}.{key}", inner) for key, inner in value)
        else:
            yield name, value


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"{path} cannot be read: {error}. Mend it, or move it away to use the defaults."
        ) from None


def _from_environment() -> dict[str, Any]:
    known = {ENV_PREFIX + name.replace(".", "__").upper() for name, _ in setting_defaults()}
    sections = {name.split("__", 1)[0] for name in known if "__" in name}
    for name in os.environ:
        if name.startswith(ENV_PREFIX) and name not in known | sections:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {nearest[0]}?" if nearest else "No setting has that name."
            raise SettingsError(f"the environment variable {name} sets nothing. {hint}")
    return dict(EnvSettingsSource(Settings)())


def _merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Later layers win; tables are merged key by key."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            before = merged.get(key)
            if isinstance(before, Mapping) and isinstance(value, Mapping):
                merged[key] = _merge(before, value)
            else:
                merged[key] = value
    return merged


def _explain(error: ValidationError, sources: Mapping[str, Mapping[str, Any]]) -> str:
    lines = []
    for item in error.errors(include_url=False):
        name = ".".join(str(part) for part in item["loc"]) or "settings"
        source = next(
            (f" (from {s})" for s, tree in sources.items() if _has(tree, item["loc"])), ""
        )
        if item["type"] == "extra_forbidden":
            nearest = difflib.get_close_matches(name, [n for n, _ in setting_defaults()], n=1)
            allowed = (
                f"no such setting; did you mean {nearest[0]}?" if nearest else "no such setting"
            )
        else:
            allowed = item["msg"].removeprefix("Value error, ")
        lines.append(f"{name} = {item['input']!r}{source}: {allowed}")
    return "wrong settings:\n  " + "\n  ".join(lines)


def _has(tree: Mapping[str, Any], path: tuple[int | str, ...]) -> bool:
    node: object = tree
    for part in path:
        if not isinstance(node, Mapping) or part not in node:
            return not isinstance(node, Mapping) and node is not tree
        node = node[part]
    return bool(path)
