"""How many files a new card and a new collector take: tried in a copy of the code.

Each test says which files it adds and changes; all else must follow from them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

_PACKAGES = ("control_room", "collectors", "app", "pages")
_CARD = '''
"""Patience: how long the run may still be silent."""

from __future__ import annotations

from app.cards import kit
from app.cards.draw_html import draw_html
from app.views.models import LiveStatus


def draw(view: LiveStatus) -> None:
    draw_html(kit.card("Patience", kit.rows([("state", kit.text(view.liveness.state))])))
'''
_COLLECTOR = '''
"""Whether somebody has asked the trainer to stop: a file that they leave in ``control``."""

from __future__ import annotations

from control_room.rundir import RunDir


class StopWatch:
    def __init__(self, run: RunDir) -> None:
        self._file = run.control_state_file.with_name("stop")

    def read(self) -> tuple[str, ...]:
        return ("A stop is asked for.",) if self._file.exists() else ()
'''
_OPEN_LIVE_PAGE = """
import os, time
from streamlit.testing.v1 import AppTest
from app.settings import load_settings
from app.ui.current import serving
from app.watch.monitor import Monitor

monitor = Monitor(load_settings({"run_dir": os.environ["RUN"]}))
with serving(monitor):
    page = AppTest.from_file("pages/live.py", default_timeout=120).run()
assert not page.exception, page.exception
found = " ".join(str(element.proto.body) for element in page.get("html"))
"""
_BUILD_VIEWS = """
import os, time
from app.settings import load_settings
from app.views.build import assemble
from app.watch.run_history import RunHistory
from app.watch.sources import GPU, HOST, run_sources, samples_of
from collectors.sampler import Sample
from control_room.logs.patterns import PatternRules

settings = load_settings({"run_dir": os.environ["RUN"]})
rules = PatternRules([])
history = RunHistory(settings.run, memory_limit_mb=64, rules=rules)
sources = {source.name: source for source in run_sources(settings, rules, history)}
assert "stop_request" in sources
sample = Sample(reading=sources["stop_request"].read(), read_at=time.time())
samples = samples_of({GPU: Sample(), HOST: Sample(), "stop_request": sample}, settings)
views = assemble(samples, settings, now=time.time(), version=1)
found = list(views.system.problems)
"""


class Copy:
    """The code somewhere else, to be changed there; remembers which files were."""

    def __init__(self, directory: Path) -> None:
        self.code = directory / "code"
        self.run = directory / "run"
        self.changed: set[str] = set()
        ignored = shutil.ignore_patterns("__pycache__")
        for package in _PACKAGES:
            shutil.copytree(ROOT / package, self.code / package, ignore=ignored)

    def add(self, name: str, text: str) -> None:
        assert not (self.code / name).exists()
        (self.code / name).write_text(text.lstrip(), encoding="utf-8")
        self.changed.add(name)

    def put_behind(self, name: str, line: str, addition: str) -> None:
        """Adds lines behind one that stands in a file once."""
        file = self.code / name
        text = file.read_text(encoding="utf-8")
        assert text.count(line) == 1, (name, line)
        file.write_text(text.replace(line, f"{line}\n{addition}"), encoding="utf-8")
        self.changed.add(name)

    def ask(self, script: str) -> Any:
        """What the script leaves in ``found``, run in the copy."""
        done = subprocess.run(
            [sys.executable, "-c", f"{script}\nimport json\nprint(json.dumps(found))"],
            cwd=self.code,
            env={**os.environ, "PYTHONPATH": str(self.code), "RUN": str(self.run)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_a_card_is_a_file_and_a_zone_of_the_live_page(copy: Copy) -> None:
    copy.add("app/cards/patience.py", _CARD)
    copy.put_behind("pages/live.py", "    notes,", "    patience,")
    copy.put_behind(
        "pages/live.py",
        "        summary.draw(view, now=datetime.now(UTC))",
        '    with st.container(border=True, key="card-patience"):\n        patience.draw(view)',
    )
    assert "Patience" in copy.ask(_OPEN_LIVE_PAGE)
    assert len(copy.changed) == 2


def test_a_collector_is_a_file_a_source_and_what_it_fills_in(copy: Copy) -> None:
    copy.add("collectors/files/stop_request.py", _COLLECTOR)
    copy.put_behind(
        "app/watch/sources.py",
        "from collectors.files.snapshots import SnapshotWatch",
        "from collectors.files.stop_request import StopWatch",
    )
    copy.put_behind(
        "app/watch/sources.py",
        '        Source("links", intervals.queues_s, LinkWatch(run).read),',
        '        Source("stop_request", intervals.queues_s, StopWatch(run).read),',
    )
    copy.put_behind(
        "app/views/build.py",
        "    notes: Sample[NotesReading] = field(default_factory=Sample)",
        "    stop_request: Sample[tuple[str, ...]] = field(default_factory=Sample)",
    )
    copy.put_behind(
        "app/views/build.py",
        "            *(samples.links.reading or ()),",
        "            *(samples.stop_request.reading or ()),",
    )
    assert copy.ask(_BUILD_VIEWS) == []
    (copy.run / "control").mkdir(parents=True)
    (copy.run / "control" / "stop").touch()
    assert copy.ask(_BUILD_VIEWS) == ["A stop is asked for."]
    assert len(copy.changed) <= 3
