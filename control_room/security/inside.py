"""Files of a directory that others may have written: links that lead out of it are not followed.

A run directory is downloaded, shared, written by containers. Each file is opened one directory at a
time from the root on, so that a link that is put in the way meanwhile leads nowhere either. Hard
links cannot be told from the files that they are.
"""

from __future__ import annotations

import errno
import io
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISLNK, S_ISREG
from typing import BinaryIO

from control_room.atomic import replace_file

MOST_BYTES = 8 * 2**20  # of a file that is read whole
_MOST_LINKS = 40
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
# A pipe must not be waited for.
_QUIET = os.O_NONBLOCK | os.O_CLOEXEC


class LeadsOut(OSError):
    """A link leads out of the directory that a file belongs to. The text says what to do."""

    def __init__(self, path: Path, target: str, root: Path) -> None:
        # Not the name of the link's target alone: a person has to see which link it is.
        told = (
            f"a link leads out of {root}, to {target}, and is not followed. If that link is your "
            "own, name the directory it leads to in follow_links of your own control_room.toml"
        )
        super().__init__(errno.ELOOP, told, str(path))


@dataclass(frozen=True, slots=True)
class Inside:
    """What is below ``root``, and below the directories of ``also`` that links may lead to.

    ``root`` itself may be a link: it is what somebody named. Every method raises :class:`LeadsOut`
    for a path that a link leads out of all of them, and other ``OSError``.
    """

    root: Path
    also: tuple[Path, ...] = ()

    def open(self, path: Path) -> BinaryIO:
        """A regular file, to be read. Raises ``OSError`` for a pipe, a device or a directory."""
        return os.fdopen(_regular(self._opened(path, os.O_RDONLY | _QUIET), path), "rb")

    def read(self, path: Path, most_bytes: int = MOST_BYTES) -> bytes:
        """A regular file's content. Raises ``OSError`` for one of more than ``most_bytes``."""
        with self.open(path) as file:
            return _at_most(file, path, most_bytes)

    def open_to_append(self, path: Path) -> io.FileIO:
        """A regular file, to be read and appended to; made where there is none."""
        with self.directory(path.parent, make=True) as directory:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | _QUIET
            try:
                descriptor = os.open(path.name, flags, 0o666, dir_fd=directory)
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise
                descriptor = self._opened(path, os.O_RDWR | os.O_APPEND | _QUIET)
        return io.FileIO(_regular(descriptor, path), "a+")

    def replace(self, path: Path, content: bytes) -> None:
        """Write a file anew, whole or not at all; directories are made where needed."""
        with self.directory(path.parent, make=True) as directory:
            replace_file(path, content, directory=directory)

    def remove(self, path: Path) -> None:
        """Remove a file, or the link that is in its place."""
        with self.directory(path.parent) as directory:
            os.unlink(path.name, dir_fd=directory)

    @contextmanager
    def directory(self, path: Path, *, make: bool = False) -> Iterator[int]:
        """A directory, opened: what is done with ``dir_fd`` stays in it, whatever happens above.

        ``make`` makes it, the root and those between, where they are missing.
        """
        descriptor = self._opened(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, make=make)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def names(self, path: Path, wanted: Callable[[str], object]) -> list[str]:
        """The wanted names in a directory, in order."""
        with self.directory(path) as directory, os.scandir(directory) as entries:
            return sorted(entry.name for entry in entries if wanted(entry.name))

    def check(self, path: Path) -> None:
        """Raise :class:`LeadsOut` where a link on the way, or in its place, leads out.

        What is not there leads nowhere.
        """
        self._kind(path)

    def check_file(self, path: Path) -> None:
        """:meth:`check`, and raise ``OSError`` for what is there and is no regular file.

        A library that opens a pipe waits for good.
        """
        kind = self._kind(path)
        if kind is not None and not S_ISREG(kind):
            raise _irregular(path)

    def _kind(self, path: Path) -> int | None:
        """Its ``st_mode``; None where there is nothing."""
        try:
            descriptor = self._opened(path, getattr(os, "O_PATH", os.O_RDONLY) | _QUIET)
        except LeadsOut:
            raise
        except OSError:
            return None
        try:
            return os.fstat(descriptor).st_mode
        finally:
            os.close(descriptor)

    def _opened(self, path: Path, flags: int, *, make: bool = False) -> int:
        """The descriptor of what is at ``path``, without leaving on the way there."""
        if make:
            self.root.mkdir(parents=True, exist_ok=True)
        way = _Way(self, path)
        try:
            while (descriptor := way.step(flags, make=make)) is None:
                pass
            return descriptor
        finally:
            way.close()

    def _below(self, target: str) -> tuple[str, str] | None:
        """The root that ``target`` is below, and the way from there; None: below none."""
        for told in (os.path.normpath(target), os.path.realpath(target)):
            for root in (self.root, *self.also):
                for base in (os.path.abspath(root), os.path.realpath(root)):  # noqa: PTH100  # no normalising
                    if told == base or told.startswith(base.rstrip("/") + "/"):
                        return base, told[len(base.rstrip("/")) :].strip("/")
        return None


class _Way:
    """How far a path has been followed. It has to be closed."""

    def __init__(self, inside: Inside, path: Path) -> None:
        self._inside, self._path, self._links = inside, path, 0
        self._ahead = deque(_way_from(inside.root, path))
        self._base = str(inside.root)  # where the first of the open directories is
        self._open = [os.open(inside.root, _PASS)]  # each within the one before

    def close(self) -> None:
        for descriptor in self._open:
            os.close(descriptor)

    def step(self, flags: int, *, make: bool) -> int | None:
        """Go one name on; the descriptor of the last one, opened with ``flags``."""
        name = self._ahead.popleft() if self._ahead else "."
        if name == "..":
            self._go_up()
            return None
        wanted = (_PASS if self._ahead else flags) | os.O_NOFOLLOW
        try:
            descriptor = _open_one(name, wanted, self._open[-1], make=make)
        except OSError as error:
            self._follow(name, error)
            return None
        if not self._ahead:
            if not S_ISLNK(os.fstat(descriptor).st_mode):
                return descriptor
            os.close(descriptor)  # O_PATH opens a link itself
            self._follow(name, OSError(errno.ELOOP, os.strerror(errno.ELOOP)))
            return None
        self._open.append(descriptor)
        return None

    def _go_up(self) -> None:
        if len(self._open) > 1:
            os.close(self._open.pop())
        else:
            self._begin_at(os.path.join(os.path.realpath(self._base), "..", *self._ahead))  # noqa: PTH118

    def _follow(self, name: str, error: OSError) -> None:
        """Go where the link called ``name`` leads; raise ``error`` where it is none."""
        try:
            target = os.readlink(name, dir_fd=self._open[-1])
        except OSError:
            raise OSError(error.errno, error.strerror, str(self._path)) from None
        self._links += 1
        if self._links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(self._path))
        if target.startswith("/"):
            self._begin_at(os.path.join(target, *self._ahead))  # noqa: PTH118
        else:
            self._ahead.extendleft(reversed(Path(target).parts))

    def _begin_at(self, target: str) -> None:
        """Go on from the root that ``target`` is below."""
        found = self._inside._below(target)
        if found is None:
            raise LeadsOut(self._path, target, self._inside.root)
        self._base, rest = found
        self.close()
        self._open = []
        self._open = [os.open(self._base, _PASS)]
        self._ahead = deque(rest.split("/") if rest else ())


def _way_from(root: Path, path: Path) -> tuple[str, ...]:
    try:
        return path.relative_to(root).parts
    except ValueError:
        raise OSError(errno.EXDEV, f"it lies outside of {root}", str(path)) from None


def open_regular(path: Path) -> BinaryIO:
    """A file that somebody named, to be read. Raises ``OSError`` for what is no regular file."""
    return os.fdopen(_regular(os.open(path, os.O_RDONLY | _QUIET), path), "rb")


def read_regular(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """What such a file holds. Raises ``OSError`` for one of more than ``most_bytes``."""
    with open_regular(path) as file:
        return _at_most(file, path, most_bytes)


def opened(path: Path, inside: Inside | None) -> BinaryIO:
    """A regular file, to be read; ``inside`` None: one that somebody named."""
    return open_regular(path) if inside is None else inside.open(path)


def _regular(descriptor: int, path: Path) -> int:
    if not S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _irregular(path)
    return descriptor


def _irregular(path: Path) -> OSError:
    return OSError(errno.EINVAL, "it is no regular file", str(path))


def _at_most(file: BinaryIO, path: Path, most_bytes: int) -> bytes:
    content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {most_bytes:,} bytes", str(path))
    return content


def _open_one(name: str, flags: int, directory: int, *, make: bool) -> int:
    try:
        return os.open(name, flags, dir_fd=directory)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=directory)
    return os.open(name, flags, dir_fd=directory)
