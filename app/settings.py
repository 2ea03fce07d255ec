"""Every setting in one typed object: defaults, then ``control_room.toml``, environment, flags.

The user's own file is the one that is named, else that of the working directory over that of the
user's configuration directory. The run directory's own stands below them all, and sets only what is
marked as ``RUN_MAY_SET``: what changes nothing but what is shown.
"""

from __future__ import annotations

import difflib
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as EnvironmentError_

from app.host_names import host_name
from collectors.machines.ssh_reading import SshTarget
from control_room.history.sql.processes import SqlLimits
from control_room.logs.patterns import PatternRule
from control_room.logs.retention import COMPRESS_AFTER_DAYS, DELETE_AFTER_DAYS
from control_room.recording.encoding import is_text
from control_room.rundir import RunDir
from control_room.security.address import Address
from control_room.security.redaction import is_secret_name, redacted
from control_room.security.secret import Secret, key_from
from control_room.settings.files import SettingsFile, UnreadableSettings, own_files
from control_room.settings.layers import (
    RUN_MAY_SET,
    absolute,
    anchored,
    merged,
    run_may_set,
    run_settings,
    told_wrong,
    with_run,
)

ENV_PREFIX = "CONTROL_ROOM_"
FILE_NAME = "control_room.toml"
CONFIG_VARIABLE = ENV_PREFIX + "CONFIG"  # as the flag --config: which file, no setting

Percent = Annotated[float, Field(ge=0, le=100)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Patience = Annotated[float, Field(gt=0, le=366 * 24 * 3600)]  # seconds
ZoneSeconds = Annotated[float, Field(ge=0.5, le=3600)]  # below, a page would never come to rest


_MOST_SHOWN = 80  # characters of a wrong value


class SettingsError(ValueError):
    """A setting is wrong. The message names each one, its value and what is allowed."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


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

    slowest_interval_factor: Annotated[float, Field(ge=1, le=1e6)] = 6.0
    min_s: Patience = 90.0
    saving_s: Patience = 600.0
    evaluating_s: Patience = 1800.0
    previewing_s: Patience = 1800.0


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

    bin_edges: Annotated[
        tuple[Annotated[int, Field(ge=0, le=10**9)], ...], Field(max_length=100)
    ] = (0, 50, 100, 200)
    green_above: Fraction = 0.8
    yellow_above: Fraction = 0.6
    few_samples: Annotated[int, Field(ge=0, le=10**9)] = 10

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.bin_edges or list(self.bin_edges) != sorted(set(self.bin_edges)):
            raise ValueError("bin_edges must rise, e.g. [0, 50, 100, 200]")
        if self.yellow_above >= self.green_above:
            raise ValueError("yellow_above must be below green_above")
        return self


Expression = Annotated[str, Field(max_length=1000)]


class Pattern(_Section):
    """Names a kind of task, by globs of datasets and regular expressions searched in prompts."""

    pattern: Annotated[str, Field(min_length=1, max_length=200)]
    datasets: Annotated[tuple[Expression, ...], Field(max_length=50)] = ()
    prompts: Annotated[tuple[Expression, ...], Field(max_length=50)] = ()
    linear: bool = False  # RE2's expressions, whose time is bounded; a run's own always are

    @model_validator(mode="after")
    def _of_use(self) -> Self:
        if not self.datasets and not self.prompts:
            raise ValueError("give datasets (globs) or prompts (regular expressions)")
        self.rule()
        return self

    def rule(self) -> PatternRule:
        """The rule that this is."""
        return PatternRule(self.pattern, self.datasets, self.prompts, self.linear)


class History(_Section):
    """The index of the logs; ``patterns`` name what a record does not: the first that matches."""

    refresh_s: Seconds = 1.0
    memory_limit_mb: Annotated[int, Field(ge=64)] = 512
    rows_per_page: Annotated[int, Field(ge=10, le=1000), RUN_MAY_SET] = 100
    sql_timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    sql_max_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    sql_memory_mb: Annotated[int, Field(ge=256)] = 1024  # of a process that answers a question
    sql_answer_mb: Annotated[int, Field(ge=1, le=512)] = 32
    patterns: Annotated[tuple[Pattern, ...], Field(max_length=200), RUN_MAY_SET] = ()

    def sql_limits(self) -> SqlLimits:
        """What questions in SQL may take."""
        return SqlLimits(
            timeout_s=self.sql_timeout_s,
            max_rows=self.sql_max_rows,
            memory_mb=self.sql_memory_mb,
            answer_mb=self.sql_answer_mb,
        )


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


class Access(_Section):
    """Under which names, beside localhost, browsers may ask for the app; how many pages at once."""

    allowed_hosts: tuple[Annotated[str, AfterValidator(host_name)], ...] = ()  # without a port
    max_viewers: Annotated[int, Field(ge=1)] = 64


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

    url: Annotated[Address, PlainValidator(Address.of)]  # without /v1
    api: Literal["auto", "native", "openai"] = "auto"
    api_key_file: Path | None = None
    api_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.api_key_file is not None and self.api_key_env is not None:
            raise ValueError("set api_key_file or api_key_env, not both")
        return self

    def key(self) -> Secret | None:
        """The key as it is now. Raises :class:`control_room.security.secret.BadSecret`."""
        return key_from(self.api_key_file, self.api_key_env)


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
    pages_dir: Path | None = None  # a directory with pages of one's own, beside the built-in ones
    machine_name: str | None = None  # how this machine is called on the page; else its host name
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    intervals: Intervals = Intervals()
    liveness: Annotated[Liveness, RUN_MAY_SET] = Liveness()
    thresholds: Annotated[Thresholds, RUN_MAY_SET] = Thresholds()
    heatmap: Annotated[Heatmap, RUN_MAY_SET] = Heatmap()
    history: History = History()
    previews: Previews = Previews()
    notes: Notes = Notes()
    api: Api = Api()
    access: Access = Access()
    retention: Retention = Retention()
    machines: tuple[Machine, ...] = ()  # none: this machine alone, training
    _left_out: tuple[str, ...] = PrivateAttr(default=())

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

    @property
    def left_out(self) -> tuple[str, ...]:
        """For a person: what of the run's own settings is not taken, why, and what to do."""
        return self._left_out

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
    flags: Mapping[str, Any] | None = None,
    *,
    config: Path | None = None,
    working_dir: Path | None = None,
) -> Settings:
    """Merge defaults, settings files, environment and ``flags`` (nested mappings), in that order.

    ``config`` is the user's own file, in place of those of the working and the user's configuration
    directory. ``run_dir`` and all other paths come back absolute: relative ones are taken from the
    file's directory, of environment and flags from the working directory. Raises
    :class:`SettingsError` when anything is wrong that the user said; what is wrong of the run's is
    left out and stands in :attr:`Settings.left_out`.
    """
    working_dir = Path.cwd() if working_dir is None else working_dir
    spoken = {
        "a flag": _anchored(flags or {}, working_dir),
        "the environment": _anchored(_from_environment(), working_dir),
    }

    def sources(own: Sequence[SettingsFile]) -> dict[str, Mapping[str, Any]]:
        return {**spoken, **{str(f.path): _anchored(f.table, f.path.parent) for f in own}}

    def run_dir_of(own: Sequence[SettingsFile]) -> Path | None:
        told = merged(*reversed(list(sources(own).values()))).get("run_dir")
        return None if told is None else Path(os.path.realpath(str(told)))

    named = config or os.environ.get(CONFIG_VARIABLE)
    try:
        own, strangers = own_files(FILE_NAME, named, working_dir, run_dir_of)
    except UnreadableSettings as error:
        raise SettingsError(str(error)) from None
    run_dir = run_dir_of(own) or working_dir.resolve()
    if run_dir.exists() and not run_dir.is_dir():
        raise SettingsError(f"run_dir = {str(run_dir)!r}: is a file; name the run's directory")
    if not is_text(run_dir):
        raise SettingsError(f"run_dir = {str(run_dir)!r}: its name is no UTF-8; rename it")
    run_file = run_dir / FILE_NAME
    of_run, left_out = run_settings(Settings, run_file, strangers, own)
    told = merged(*reversed(list(sources(own).values())))
    try:
        settings, wrong = with_run(lambda layers: Settings(**layers), _bounded(of_run), told)
    except ValidationError as error:
        raise SettingsError(_explain(error, sources(own))) from None
    settings = settings.model_copy(update={"run_dir": run_dir})
    settings._left_out = (*left_out, *told_wrong(run_file, wrong))
    return settings


def _anchored(told: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """With absolute paths. Those of ``runs`` may be globs, and are no ``Path`` therefore."""
    found = anchored(Settings, told, base)
    if isinstance(found.get("runs"), list | tuple):
        found["runs"] = [absolute(str(each), base) for each in found["runs"]]
    return found


def _bounded(allowed: Mapping[str, Any]) -> Mapping[str, Any]:
    """The run's settings with expressions whose time is bounded."""
    history = allowed.get("history")
    patterns = history.get("patterns") if isinstance(history, Mapping) else None
    if not isinstance(patterns, list):
        return allowed
    linear = [{**each, "linear": True} if isinstance(each, dict) else each for each in patterns]
    return merged(allowed, {"history": {"patterns": linear}})


def setting_defaults() -> Iterator[tuple[str, object]]:
    """Every setting's dotted name and default, in the order they are defined."""
    for name, value in Settings():
        if isinstance(value, _Section):
            yield from ((f"{name}.{key}", inner) for key, inner in value)
        else:
            yield name, value


def settings_of_runs() -> Iterator[tuple[str, object, bool]]:
    """As :func:`setting_defaults`, and whether a run's own file may set it."""
    may = dict(run_may_set(Settings))
    return ((name, default, may[name]) for name, default in setting_defaults())


def _named(error: EnvironmentError_) -> str:
    found = re.search(r'field "(\w+)"', str(error))
    return found[1] if found else "one of its settings"


def _from_environment() -> dict[str, Any]:
    known = {ENV_PREFIX + name.replace(".", "__").upper() for name, _ in setting_defaults()}
    sections = {name.split("__", 1)[0] for name in known if "__" in name}
    for name in os.environ:
        if name.startswith(ENV_PREFIX) and name not in known | sections | {CONFIG_VARIABLE}:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {nearest[0]}?" if nearest else "No setting has that name."
            raise SettingsError(f"the environment variable {name} sets nothing. {hint}")
    try:
        return dict(EnvSettingsSource(Settings)())
    except EnvironmentError_ as error:
        # It names the setting; what it comes from quotes the value.
        raise SettingsError(
            f"the environment sets what is not understood: {_named(error)} takes JSON"
        ) from None


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
        lines.append(f"{name}{_given(item)}{source}: {allowed}")
    return "wrong settings:\n  " + "\n  ".join(lines)


def _given(item: Any) -> str:
    """The value, where it is one that may be shown: no secret, nor a table that may hold one."""
    value, name = item["input"], str(item["loc"][-1]) if item["loc"] else ""
    if isinstance(value, bool | int | float):
        return f" = {value!r}"
    secret = is_secret_name(name) or name.startswith("api_key") or name == "url"
    if not isinstance(value, str) or secret or item["type"] == "extra_forbidden":
        return ""
    shown = redacted(value)
    return f" = {shown if len(shown) <= _MOST_SHOWN else shown[:_MOST_SHOWN] + '…'!r}"


def _has(tree: Mapping[str, Any], path: tuple[int | str, ...]) -> bool:
    node: object = tree
    for part in path:
        if not isinstance(node, Mapping) or part not in node:
            return not isinstance(node, Mapping) and node is not tree
        node = node[part]
    return bool(path)
