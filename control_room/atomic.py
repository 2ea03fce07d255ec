"""Files that appear whole or not at all: written beside where they belong, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def whole_file(
    path: Path, *, fsync: bool = False, directory: int | None = None
) -> Iterator[BinaryIO]:
    """A file to be written, which takes the place of ``path`` when the block ends without an error.

    What was there stays until then, and for good when anything goes wrong. With ``fsync`` the
    content is on the disk before it takes the place. ``directory`` is the open directory of
    ``path``, in which all is done whatever happens above it. As any new file it has the permissions
    that the umask leaves. Raises ``OSError``.
    """
    # In the same directory, as a rename cannot leave the file system; of a name that no other
    # writer has, nor a signal handler that interrupts this one.
    new = f".{path.name}.{os.urandom(8).hex()}.tmp"
    target = path.name
    if directory is None:
        beside = os.path.dirname(path)  # noqa: PTH120  # written many times a second
        new, target = os.path.join(beside, new), os.fspath(path)  # noqa: PTH118
    descriptor = os.open(new, _NEW, 0o666, dir_fd=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            if fsync:
                file.flush()
                os.fsync(descriptor)
        os.replace(new, target, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with suppress(OSError):
            os.unlink(new, dir_fd=directory)
        raise


def replace_file(
    path: Path, content: bytes, *, fsync: bool = False, directory: int | None = None
) -> None:
    """Write ``path`` anew; see :func:`whole_file`."""
    with whole_file(path, fsync=fsync, directory=directory) as file:
        file.write(content)
