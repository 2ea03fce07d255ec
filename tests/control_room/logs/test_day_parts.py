"""A day may consist of several parts: every line that was put down is read exactly once.

Whatever is imported into a packed day, appended to it with a clock that is wrong, packed as gzip
or as Parquet, and killed on the way.
"""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control_room import Recorder, RunDir
from control_room.history import queries
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex
from control_room.logs import day_parts as day_parts_module
from control_room.logs.day_parts import day_parts
from control_room.logs.retention import Form, carry_out, plan
from control_room.recording.daily_log import DailyLog
from control_room.recording.records import PreviewRecord, parse_line
from control_room.security.inside import Inside
from tests.control_room.logs.killed import TODAY, Killer, append, imported, line, retained

DAYS = (date(2026, 3, 1), date(2026, 3, 2))
NUMBERS = count(1)


def steps_read(run: RunDir) -> list[int]:
    found = []
    for part in day_parts(run, "preview"):
        for data in part.lines():
            try:
                found.append(parse_line(PreviewRecord, data).step)
            except ValueError:
                continue  # torn
    return sorted(found)


def steps_in(index: HistoryIndex) -> list[int]:
    while index.refresh().more:
        pass
    return [s for (s,) in index.cursor().execute("SELECT step FROM previews ORDER BY 1").fetchall()]


@dataclass
class Story:
    """What is done to a run's log, one thing after the other, and what must be there after each."""

    run: RunDir
    killer: Killer
    put_down: list[int] = field(default_factory=list)

    def act(self, action: tuple[Any, ...]) -> None:
        kind, *how = action
        if kind == "retain":
            form, killed_at = how
            if killed_at is None:
                retained(self.run, form)
            else:
                self.killer.retain(self.run, form, killed_at)
            return
        day = DAYS[how[0]]
        if kind == "torn":
            file = self.run.log_file("preview", day)
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("ab") as log:
                log.write(b'{"ts":"2026-03-01T1')
            return
        steps = [next(NUMBERS) for _ in range(how[1])]
        self.put_down += steps
        if kind == "append":
            append(self.run, day, steps)
            return
        if how[2] is not None:
            self.killer.import_(self.run, day, steps, how[2])
        imported(self.run, day, steps)  # anew, as one does after a kill


KILLED_AT = st.none() | st.integers(0, 30)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 1), st.integers(1, 3)),
        st.tuples(
            st.just("import"), st.integers(0, 1), st.integers(1, 3), st.none() | st.integers(0, 2)
        ),
        st.tuples(st.just("retain"), st.sampled_from(["gzip", "parquet"]), KILLED_AT),
        st.tuples(st.just("torn"), st.integers(0, 1)),
    ),
    min_size=2,
    max_size=7,
)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDir]:
    yield RunDir(tmp_path / "run")


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    with Killer.started() as started:
        yield started


@contextmanager
def a_story(killer: Killer) -> Iterator[Story]:
    with tempfile.TemporaryDirectory(prefix="day-parts-") as path:
        yield Story(RunDir(Path(path) / "run"), killer)


@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(actions=ACTIONS)
def test_every_line_put_down_is_read_exactly_once(
    killer: Killer, actions: list[tuple[Any, ...]]
) -> None:
    with a_story(killer) as story:
        for action in actions:
            story.act(action)
            assert steps_read(story.run) == sorted(story.put_down), action


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(actions=ACTIONS)
def test_an_index_that_follows_has_every_line_once_and_so_has_a_new_one(
    killer: Killer, actions: list[tuple[Any, ...]]
) -> None:
    with a_story(killer) as story:
        with HistoryIndex(story.run) as index:
            for action in actions:
                story.act(action)
                assert steps_in(index) == sorted(story.put_down), action
        with HistoryIndex(story.run) as anew:
            assert steps_in(anew) == sorted(story.put_down)


@pytest.mark.parametrize("form", ["gzip", "parquet"])
class TestImportIntoAPackedDay:
    """A day of 100 previews is packed, then one more is imported into it."""

    @pytest.fixture
    def steps(self, run: RunDir, form: Form) -> list[int]:
        append(run, DAYS[0], list(range(100)))
        retained(run, form)
        imported(run, DAYS[0], [100])
        return list(range(101))

    def test_all_of_it_is_read(self, run: RunDir, steps: list[int]) -> None:
        with HistoryIndex(run) as index:
            assert steps_in(index) == steps

    def test_the_next_packing_keeps_all_of_it(
        self, run: RunDir, steps: list[int], form: Form
    ) -> None:
        retained(run, form)
        assert not list(run.logs("preview").glob("*.jsonl"))
        with HistoryIndex(run) as index:
            assert steps_in(index) == steps

    def test_an_index_on_disk_sees_it_before_and_after(
        self, run: RunDir, steps: list[int], form: Form
    ) -> None:
        for _ in range(2):
            with HistoryIndex(run, database=run.cache / "history.duckdb") as index:
                assert steps_in(index) == steps
            retained(run, form)
        with HistoryIndex(run, database=run.cache / "history.duckdb") as index:
            assert steps_in(index) == steps

    def test_importing_what_is_packed_adds_nothing(self, run: RunDir, steps: list[int]) -> None:
        imported(run, DAYS[0], steps)
        assert steps_read(run) == steps

    def test_each_preview_has_an_address_of_its_own(
        self, run: RunDir, steps: list[int], form: Form
    ) -> None:
        def addresses() -> dict[str, int]:
            with HistoryIndex(run) as index:
                cursor = index.cursor()
                steps_in(index)
                rows = queries.preview_page(cursor, PreviewFilter(), limit=200, offset=0).rows
                for row in rows:
                    assert queries.preview_by_id(cursor, row.id) == row
                return {row.id: row.step for row in rows}

        before = addresses()
        assert len(before) == 101
        retained(run, form)
        assert addresses() == before


def test_lines_that_came_after_the_last_look_and_before_the_packing_are_read(run: RunDir) -> None:
    with HistoryIndex(run, database=run.cache / "history.duckdb") as index:
        append(run, DAYS[0], [1, 2])
        assert steps_in(index) == [1, 2]
    append(run, DAYS[0], [3])
    retained(run, "gzip")
    with HistoryIndex(run, database=run.cache / "history.duckdb") as index:
        assert steps_in(index) == [1, 2, 3]


def test_an_unpacked_copy_beside_the_archive_counts_once(run: RunDir) -> None:
    """As ``gunzip --keep`` leaves it, also interrupted."""
    append(run, DAYS[0], [1, 2, 3])
    content = run.log_file("preview", DAYS[0]).read_bytes()
    retained(run, "gzip")
    for kept in (content, content[:-20], b""):
        run.log_file("preview", DAYS[0]).write_bytes(kept)
        assert steps_read(run) == [1, 2, 3]
        with HistoryIndex(run) as index:
            assert steps_in(index) == [1, 2, 3]


def test_a_damaged_archive_is_never_replaced(run: RunDir) -> None:
    append(run, DAYS[0], [1, 2, 3])
    retained(run, "gzip")
    (archive,) = run.logs("preview").iterdir()
    damaged = b"\0" + archive.read_bytes()[1:]
    archive.write_bytes(damaged)
    append(run, DAYS[0], [4])
    retained(run, "gzip")
    assert archive.read_bytes() == damaged
    assert steps_read(run) == [4]


def test_what_is_appended_while_copies_are_compared_is_kept(run: RunDir) -> None:
    """An archive beside a plain file that it holds all of, until somebody appends to it."""
    append(run, DAYS[0], [1, 2])
    content = run.log_file("preview", DAYS[0]).read_bytes()
    retained(run, "gzip")
    run.log_file("preview", DAYS[0]).write_bytes(content)
    compare = day_parts_module.relation_of

    def comparing(a: Path, b: Path, inside: Inside | None) -> Any:
        found = compare(a, b, inside)
        append(run, DAYS[0], [3])
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(day_parts_module, "relation_of", comparing)
        retained(run, "gzip")
    assert steps_read(run)[:3] == [1, 2, 3]


@pytest.mark.parametrize("odd", ["directory", "dangling link", "pipe"])
def test_what_is_no_file_hides_no_archive(run: RunDir, odd: str) -> None:
    append(run, DAYS[0], [1])
    append(run, DAYS[1], [2])
    retained(run, "gzip")
    place = run.log_file("preview", DAYS[0])
    if odd == "directory":
        place.mkdir()
    elif odd == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to("nowhere")
    assert steps_read(run) == [1, 2]
    append(run, DAYS[1], [3])
    retained(run, "gzip")
    assert steps_read(run) == [1, 2, 3]


def test_a_file_called_part_one_is_none_of_ours(run: RunDir) -> None:
    append(run, DAYS[0], [1, 2])
    other = run.log_file("preview", DAYS[0]).with_name("preview_history_2026-03-01.part1.jsonl")
    other.write_bytes(line(3, DAYS[0]))
    retained(run, "gzip")
    assert steps_read(run) == [1, 2]
    assert other.exists()


def test_two_parts_may_have_different_forms(run: RunDir) -> None:
    append(run, DAYS[0], [1])
    retained(run, "parquet")
    append(run, DAYS[0], [2])
    retained(run, "gzip")
    append(run, DAYS[0], [3])
    assert steps_read(run) == [1, 2, 3]
    retained(run, "parquet")
    assert sorted(path.name for path in run.logs("preview").iterdir()) == [
        "preview_history_2026-03-01.jsonl.parquet",
        "preview_history_2026-03-01.part2.jsonl.parquet",
        "preview_history_2026-03-01.part3.jsonl.parquet",
    ]
    assert steps_read(run) == [1, 2, 3]


def test_files_of_others_are_no_parts(run: RunDir) -> None:
    directory = run.logs("preview")
    directory.mkdir(parents=True)
    for name in ("2026-13-45", "2026-03-01.rescored", "2026-03-01.part0", "2026-03-01.partial"):
        (directory / f"preview_history_{name}.jsonl").write_bytes(line(1, DAYS[0]))
        (directory / f"preview_history_{name}.jsonl.gz").write_bytes(gzip.compress(b"{}", mtime=0))
    assert day_parts(run, "preview") == []


class TestAFileThatIsOpen:
    def test_a_day_that_a_process_may_still_write_to_is_left_alone(self, run: RunDir) -> None:
        log = DailyLog(lambda day: run.log_file("preview", day), fsync=False)
        log.append(line(1, DAYS[0]), DAYS[0])
        (step,) = plan(run, TODAY)
        assert "open to write" in (carry_out(step).problem or "")
        log.append(line(2, DAYS[0]), DAYS[0])
        log.close()
        assert carry_out(step).problem is None
        assert steps_read(run) == [1, 2]

    def test_a_recorder_lets_go_of_a_day_that_is_over(self, run: RunDir) -> None:
        now = [datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()]
        with Recorder(run.path, clock=lambda: now[0]) as recorder:
            recorder.note("once, in three weeks")
            now[0] += 19 * 86_400
            recorder.log_metrics(step=1, loss=1.0)
            assert [carry_out(step).problem for step in plan(run, TODAY)] == [None]
