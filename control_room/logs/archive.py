"""Reads a day's log that was compressed (gzip, Parquet): all of it, or what is undamaged."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from control_room.logs import parquet_day
from control_room.logs.tail import MAX_LINE_BYTES, MAX_READ_BYTES, Block, Reject
from control_room.security.inside import Inside, opened

PACKED = (".gz", parquet_day.SUFFIX)  # how the files of packed days end


class DamagedArchive(ValueError):
    """The archive ends too soon or holds something else. What was read before it is good."""


def archive_blocks(path: Path, name: str, inside: Inside | None = None) -> Iterator[Block | Reject]:
    """The lines of ``path`` in blocks, and a reject for each line that is too long.

    Blocks carry ``name``, that of the part of the day. Raises :class:`DamagedArchive` after the
    last undamaged line, ``OSError`` when it cannot be opened.
    """
    day = path.with_name(name)
    number, rest = 1, b""
    for piece in archive_pieces(path, inside):
        data = rest + piece
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        if end:
            count = data.count(b"\n", 0, end)
            yield from _usable(Block(day, number, data[:end], count))
            number += count
        if len(rest) > MAX_LINE_BYTES:
            rest = rest[: MAX_LINE_BYTES + 1]  # enough to tell that it is too long
    if rest:
        yield from _usable(Block(day, number, rest + b"\n", 1))


def archive_pieces(path: Path, inside: Inside | None = None) -> Iterator[bytes]:
    """What was packed, in pieces. Raises as :func:`archive_blocks`."""
    with opened(path, inside) as packed:
        yield from pieces_of(packed, path.suffix)


def pieces_of(packed: BinaryIO, suffix: str) -> Iterator[bytes]:
    """What was packed into an archive that is open, in pieces."""
    if suffix == parquet_day.SUFFIX:
        try:
            yield from parquet_day.pieces(packed)
        except OSError as error:
            raise DamagedArchive(str(error)) from None
        return
    with gzip.GzipFile(fileobj=packed, mode="rb") as file:
        while True:
            try:
                piece = file.read1(MAX_READ_BYTES)
            except (OSError, EOFError, zlib.error) as error:
                raise DamagedArchive(str(error)) from None
            if not piece:
                return
            yield piece


def _usable(block: Block) -> Iterator[Block | Reject]:
    if len(block.data) <= MAX_LINE_BYTES:
        yield block
        return
    for line in block.lines():
        if len(line.data) > MAX_LINE_BYTES:
            reason = f"longer than {MAX_LINE_BYTES:,} bytes"
            yield Reject(line.file, line.number, reason)
        else:
            yield Block(line.file, line.number, line.data + b"\n", 1)
