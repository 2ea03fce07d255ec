"""The links in a run directory that lead out of it: nothing follows them, and each is named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from control_room.rundir import LOG_KINDS, QUEUE_PRIORITIES, RunDir
from control_room.security.inside import LeadsOut

_TOLD = 10


class LinkWatch:
    """Looks through the directories that are read here. Not safe for threads."""

    def __init__(self, run: RunDir) -> None:
        self._inside = run.inside
        self._places = _places(run)
        self._links: dict[Path, tuple[tuple[int, int, int], tuple[Path, ...]]] = {}

    def read(self) -> tuple[str, ...]:
        """One sentence for each link that leads out, the first few."""
        found = list(islice(self._leading_out(), _TOLD + 1))
        if len(found) <= _TOLD:
            return tuple(found)
        return (*found[:_TOLD], "More links like these lead out of the run directory.")

    def _leading_out(self) -> Iterator[str]:
        told: set[Path] = set()
        for directory in self._places:
            try:
                links = self._links_in(directory)
            except LeadsOut as error:
                # The link itself is among those of a directory above, but where that is no place.
                if not any(each in told for each in (directory, *directory.parents)):
                    told.add(directory)
                    yield f"{directory}: {error.strerror}."
                continue
            except OSError:
                continue  # its reader tells what is wrong with it
            for link in links:
                try:
                    self._inside.check(link)
                except LeadsOut as error:
                    told.add(link)
                    yield f"{link}: {error.strerror}."

    def _links_in(self, directory: Path) -> tuple[Path, ...]:
        """The links in a directory, listed when something came or went."""
        found = directory.stat()
        version = found.st_dev, found.st_ino, found.st_mtime_ns
        before = self._links.get(directory)
        if before is not None and before[0] == version:
            return before[1]
        with self._inside.directory(directory) as opened, os.scandir(opened) as entries:
            links = tuple(directory / entry.name for entry in entries if entry.is_symlink())
        self._links[directory] = version, links
        return links


def _places(run: RunDir) -> tuple[Path, ...]:
    """Every directory that something here reads, those above first."""
    files = (run.status_file, run.control_state_file, *run.retention_index_files)
    directories = {
        *(run.path, run.cache, run.inference_logs, *map(run.logs, LOG_KINDS)),
        *(run.queue(each) for each in QUEUE_PRIORITIES),
        *(run.queue("processing"), run.queue("failed")),
        *(file.parent for file in files),
    }
    above = {each.parent for each in directories if each != run.path}
    return tuple(sorted(directories | above, key=lambda each: (len(each.parts), each)))
