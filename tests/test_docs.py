"""The documents tell what there is, and all of it: no name in them leads nowhere."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from pathlib import Path

import pytest

from app.settings import setting_defaults
from collectors.files.training import LivenessPolicy
from control_room import Recorder, RunDir
from control_room.client import Client
from control_room.history.index import HistoryIndex
from control_room.history.sql.question import ASKED_TABLES
from control_room.recording import patient_log, records
from control_room.rundir import LOG_KINDS, QUEUE_PRIORITIES
from control_room.settings import files as settings_files
from tests import project
from tests.documents import DOCUMENTS, GENERATED, Piece, section, spans, text_of
from tests.support import ROOT

RECORDS = tuple({each.__name__: each for each in records.Record.__subclasses__()}.values())
CLASSES: dict[str, type] = {
    "Recorder": Recorder,
    "recorder": Recorder,
    "RunDir": RunDir,
    "Client": Client,
}
# What lies in a run directory or with the user, and is no file of the project.
RUN_FILES = (
    "status/",
    "control/",
    "logs/",
    "queue/",
    "checkpoints/",
    "runs/",
    ".control_room",
    "demo_run/",
    ".venv",
    "my-",
)
# Paths of other programs' servers, and of the system.
ELSEWHERE = frozenset(("/", "/v1", "/gpu", "/jobs", "/jobs/stats", "/settings/power_profile")) | {
    "/etc/ssh/ssh_known_hosts",
    "/answer_lengths",  # the page of one's own that docs/PAGES.md writes
}
# Names of other programs' options and libraries that no line of ours has to spell.
FOREIGN_WORDS = frozenset(
    (
        "proxy_set_header",
        "proxy_http_version",
        "is_main_process",
        "get_tracker",
        "logging_steps",
        "log_completions",
        "add_callback",
        "oom_score_adj",
        "protected_hardlinks",
        "SFTTrainer",
        "ForceCommand",
        "YYYYMMDD",
        "training_daemon",
        "STREAMLIT_THEME_FONT",
        "answer_lengths",
    )
)
FOREIGN_WORDS |= {f"queue_{priority}" for priority in QUEUE_PRIORITIES}  # put together
FOREIGN_FLAGS = frozenset(("--metrics",))  # llama.cpp's


def named(*starts: str) -> list[Piece]:
    return [piece for piece in spans() if piece.text.startswith(starts)]


class TestWhatTheyNameExists:
    @pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
    def test_links(self, document: Path) -> None:
        text = document.read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if link.startswith(("http://", "https://", "mailto:")):
                continue
            file, _, anchor = link.partition("#")
            target = (document.parent / file).resolve() if file else document
            assert target.exists(), f"{document.name}: {link}"
            if anchor:
                assert anchor in anchors(target), f"{document.name}: {link}"

    def test_files(self) -> None:
        endings = r"\.(py|md|sh|service|txt|lock|css|svg|yml|yaml|json)"
        for piece in spans():
            place = piece.text.partition("::")[0]
            if not re.fullmatch(rf"[\w.*/-]+({endings}|/)", place) or place.startswith(RUN_FILES):
                continue
            if place.startswith("/") or is_of_a_run(place):
                continue
            where = "tests/security/" if piece.document.name == "SECURITY.md" else ""
            assert project.exists(place) or project.exists(where + place), str(piece)

    def test_dotted_python_names(self) -> None:
        for piece in spans():
            if is_of_a_run(piece.text):
                continue
            if re.fullmatch(r"(control_room|collectors|app|examples|bench)(\.\w+)+", piece.text):
                assert is_importable(piece.text) or project.exists(piece.text), str(piece)

    def test_methods_and_their_arguments(self) -> None:
        for piece in spans():
            match = re.match(r"(\w+)\.(\w+)(?:\((.*)\))?$", piece.text)
            if match is None or match[1] not in CLASSES:
                continue
            assert hasattr(CLASSES[match[1]], match[2]), str(piece)
            for argument in re.findall(r"(\w+)=", match[3] or ""):
                assert argument in project.words_of_code(), str(piece)

    def test_make_targets_commands_and_flags(self) -> None:
        for piece in named(
            "make ", "python -m ", "control-room ", ".venv/bin/python ", "pip ", "curl ", "CONTROL_"
        ):
            if "…" not in piece.text or piece.text.startswith("make "):
                assert project.wrong_in_command(piece.text) is None, str(piece)
        for piece in named("--"):
            flag = re.match(r"--[a-z-]+", piece.text)
            assert flag is not None, str(piece)
            assert flag[0] in project.all_flags() | FOREIGN_FLAGS | {"--check"}, str(piece)

    def test_workflows_make_what_can_be_made(self) -> None:
        for file in (ROOT / ".github" / "workflows").glob("*.yml"):
            text = file.read_text(encoding="utf-8")
            for command in re.findall(r"run: (make .*)", text):
                assert project.wrong_in_command(command) is None, command

    def test_endpoints_and_pages(self) -> None:
        for piece in named("/", "GET /"):
            address = piece.text.removeprefix("GET ")
            if address.endswith("/…"):  # all below it
                assert any(each.startswith(address[:-1]) for each in project.endpoints()), piece
                continue
            address = address.replace("…", "")
            page, _, _ = address.partition("?")
            if page in ELSEWHERE or page.strip("/") in project.PAGES:
                continue
            assert page.startswith(("/api", "/metrics", "/health", "/status", "/_stcore")), piece
            assert project.wrong_in_address(address) is None, str(piece)

    def test_settings(self) -> None:
        known = project.app_settings() | project.runner_settings()
        known |= {name.removeprefix("machines.") for name in known}  # as docs/MACHINES.md has them
        sections = {name.partition(".")[0] for name in known if "." in name}
        for piece in spans():
            name = re.sub(r" = .*|\[\]", "", piece.text)
            if not re.fullmatch(r"[a-z]+(\.[a-z_]+)+", name) or project.exists(name):
                continue
            if name.partition(".")[0] in sections and Path(name).suffix[1:] not in FILE_TYPES:
                assert name in known, str(piece)

    def test_environment_variables(self) -> None:
        for piece in spans():
            for variable in re.findall(r"CONTROL_ROOM_\w+", piece.text):
                assert variable in project.environment(), str(piece)

    def test_every_other_word_is_one_that_the_code_writes(self) -> None:
        words = project.words_of_code() | FOREIGN_WORDS | project.environment()
        known = {word.lower() for word in words}
        strangers = []
        for piece in spans():
            if piece.text.startswith(("test_", "::", "tests/", "Test")):
                assert is_a_test(piece), str(piece)
                continue
            for word in re.findall(r"(?<![\w%$-])[A-Za-z]\w*(?![\w-])", piece.text):
                is_name = "_" in word.strip("_") or re.search(r"[a-z][A-Z]", word)
                if is_name and word.lower() not in known and not is_pattern(word):
                    strangers.append(f"{piece}: {word}")
        assert not strangers, "\n".join(strangers)

    def test_references_in_docstrings(self) -> None:
        for name in project.tracked():
            if name.endswith(".py"):
                text = (ROOT / name).read_text(encoding="utf-8")
                for reference in re.findall(r"`~?((?:app|control_room|collectors)\.[\w.]+)`", text):
                    assert (
                        is_importable(reference)
                        or project.exists(reference)
                        or (is_of_a_run(reference))
                    ), f"{name}: {reference}"


class TestWhatExistsIsNamed:
    def test_settings_of_the_app(self) -> None:
        page = text_of("docs/SETTINGS.md", "docs/MACHINES.md", "docs/HISTORY.md")
        for name in leaves(project.app_settings()):
            alone = f"`{name.rpartition('.')[2]}`"
            tables = name.startswith(("machines.", "history.patterns."))
            shown = f"{name.rpartition('.')[2]} = "
            assert f"`{name}`" in page or (tables and (alone in page or shown in page)), name

    def test_settings_of_the_runner(self) -> None:
        page = text_of("docs/PREVIEWS.md")
        for name in leaves(project.runner_settings()) - {"base"}:  # where the file lies
            last = name.rpartition(".")[2]
            assert re.search(rf"`[a-z\[\].]*{last}`|^{last} = ", page, re.M), name

    @pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
    def test_fields_of_records(self, record: type) -> None:
        page = text_of("docs/DATA.md")
        for field in dataclasses.fields(record):
            assert f"`{field.name}`" in page, f"{record.__name__}.{field.name}"

    def test_logs_and_files_of_a_run(self) -> None:
        page = text_of("docs/DATA.md")
        for kind in LOG_KINDS:
            assert f"`logs/{kind}/" in page, kind

    def test_endpoints(self) -> None:
        page = GENERATED.read_text(encoding="utf-8") + text_of("docs/RUNNING.md")
        for address in project.endpoints():
            assert f"`{address}`" in page or f"`GET {address}`" in page, address

    def test_pages(self) -> None:
        page = text_of("docs/RUNNING.md")
        for name in project.PAGES:
            assert f"`/{name}`" in page, name

    def test_make_targets_and_their_variables(self) -> None:
        page = text_of("README.md", "docs/RUNNING.md", "CONTRIBUTING.md")
        for target in project.TARGETS:
            assert f"make {target}" in page, target
        for variable in project.VARIABLES:
            assert f"{variable}=" in page, variable

    def test_commands_and_flags(self) -> None:
        pages = text_of(*(str(path.relative_to(ROOT)) for path in DOCUMENTS))
        for module, subcommands in project.commands().items():
            for subcommand in subcommands:
                named = {f"python -m {module} {subcommand}", f"control-room {subcommand}"}
                assert any(name.strip() in pages for name in named), f"{module} {subcommand}"
                for flag in project.flags(module, subcommand) - {"--help"}:
                    assert flag in pages, f"python -m {module} {subcommand} {flag}"

    def test_prometheus_metrics(self) -> None:
        page = section("docs/API.md", "## Prometheus metrics")
        assert set(re.findall(r"`(control_room_\w+)`", page)) == project.prometheus_metrics()

    def test_tables_of_the_history(self, tmp_path: Path) -> None:
        page = section("docs/HISTORY.md", "## SQL")
        assert re.findall(r"^\| `(\w+)` \|", page, re.M) == list(ASKED_TABLES)
        with HistoryIndex(RunDir(tmp_path)) as index:
            index.refresh()
            query = "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal"
            columns = index.cursor().execute(query).fetchall()
        own = {table for table, _ in columns} - set(ASKED_TABLES)
        fields = {field.name for record in RECORDS for field in dataclasses.fields(record)}
        more = {column for table, column in columns if table in ASKED_TABLES} - fields
        for name in own | more - {"kind", "reason"}:
            assert f"`{name}`" in page, name

    def test_the_questions_of_each_page(self) -> None:
        page = section("docs/ARCHITECTURE.md", "## Who decides what")
        for name, told in re.findall(r"^\| `/(\w+)` \| (.*) \|$", page, re.M):
            source = (ROOT / "pages" / f"{name}.py").read_text(encoding="utf-8")
            for module in re.findall(r"control_room/history/(?:questions/)?(\w+)\.py", told):
                assert re.search(rf"\b{module}\b", source), f"{name}: {module}"

    def test_folders_of_the_code(self) -> None:
        page = section("docs/ARCHITECTURE.md", "## The map")
        for folder in project.packages():
            assert f"`{folder}/`" in page, folder


class TestTheirFigures:
    """Limits that are told in words; each is the one that the code has."""

    def test_what_waits_while_a_disk_refuses_it(self) -> None:
        records = inspect.signature(Recorder.__init__).parameters["max_waiting"].default
        mib = patient_log._MAX_WAITING_BYTES // 2**20
        assert f"({records} records, {mib} MiB, of each log)" in text_of("docs/GUARANTEES.md")

    def test_settings_files_of_a_run(self) -> None:
        assert f"more than\n{settings_files._MOST_BYTES // 1024} KiB" in text_of("docs/SETTINGS.md")

    def test_defaults_that_prose_repeats(self) -> None:
        defaults = dict(setting_defaults())
        for piece, number in re.findall(
            r"`([a-z_]+\.[a-z_]+)` \(([\d,]+)", text_of("docs/HISTORY.md", "docs/MACHINES.md")
        ):
            assert float(number.replace(",", "")) == defaults[piece], piece

    def test_how_long_a_run_may_be_silent(self) -> None:
        told = text_of("docs/ARCHITECTURE.md")
        assert "six times its slowest usual interval" in told and "at least\n  90 s" in told
        assert (LivenessPolicy().slowest_interval_factor, LivenessPolicy().min_s) == (6, 90)


FILE_TYPES = ("py", "csv", "jsonl", "json", "toml", "duckdb", "parquet", "seal", "sqlite", "db")


def leaves(names: set[str]) -> set[str]:
    """Those that are settings themselves, and no tables of others."""
    return {name for name in names if not any(each.startswith(name + ".") for each in names)}


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def is_of_a_run(place: str) -> bool:
    return place in ("control_room.toml", "previews.toml", "retention_index.json") or (
        Path(place).suffix != ".py" and "*" in place
    )


def is_pattern(word: str) -> bool:
    """A name with a day or a part in it, such as of a log."""
    return re.search(r"_(YYYY|2026)|^_\w+$|^part\d", word) is not None


def is_a_test(piece: Piece) -> bool:
    """Whether the test, its class or its file is there."""
    text = "\n".join(
        (ROOT / name).read_text(encoding="utf-8")
        for name in project.tracked()
        if name.startswith("tests/") and name.endswith(".py")
    )
    name = piece.text.rpartition("::")[2]
    return (
        project.exists(name)
        or project.exists("tests/security/" + name)
        or (re.search(rf"^\s*(def|class|async def) {name}\b", text, re.M) is not None)
    )


def is_importable(name: str) -> bool:
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        return reaches(found, parts[end:])
    return False


def reaches(found: object, names: list[str]) -> bool:
    for name in names:
        if not hasattr(found, name):
            return False
        found = getattr(found, name)
    return True
