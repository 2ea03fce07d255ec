"""What the archives of days were when they were read, and which of them are others by now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path

from control_room.logs.day_parts import DayPart
from control_room.logs.file_identity import Turns, Version, look_at
from control_room.security.inside import Inside

_CHUNK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Seal:
    """What an archive was: its version, and a hash of its bytes; None where it is not known.

    No CRC: archives end with one of their own, and then those of two may be the same.
    """

    version: Version | None
    checksum: int | None


class Archives:
    """The archives of one kind of log, as the tables hold them. Not safe for threads.

    ``seals`` are those of an earlier process, by part; None: that one was damaged.
    """

    def __init__(self, inside: Inside, seals: Mapping[str, Seal | None]) -> None:
        self._inside = inside
        self._seals = dict(seals)
        self._parts: dict[str, DayPart] = {}
        self._names: list[str] = []
        self._turns = Turns()

    def seal(self, path: Path) -> Seal:
        """What the file is now."""
        version = look_at(path)
        return Seal(version, self._checksum(path))

    def know(self, seals: Mapping[str, Seal], damaged: Collection[str]) -> None:
        """The tables hold these parts, as they were."""
        self._seals |= {name: None if name in damaged else seal for name, seal in seals.items()}

    def forget(self, names: Iterable[str]) -> None:
        """The tables hold these no more."""
        for name in names:
            self._seals.pop(name, None)

    def changed(self, parts: Sequence[DayPart], damaged: Collection[Path]) -> list[DayPart]:
        """Of all packed parts, listed anew, those that are not in the tables as they are.

        A damaged one is, where it is among ``damaged`` and the same as then.
        """
        self._parts = {part.name: part for part in parts}
        self._names = sorted(self._parts)
        return [part for part in parts if self._is_another(part, damaged)]

    def some_changed(self) -> list[DayPart]:
        """Those that were changed in place since the listing; of very many, some in turn."""
        some = self._turns.some(self._names)
        parts = [self._parts[name] for name in some if self._seals.get(name) is not None]
        return [part for part in parts if self._is_another(part, ())]

    def _is_another(self, part: DayPart, damaged: Collection[Path]) -> bool:
        if part.name in self._seals and part.path in damaged:
            return False
        seal, version = self._seals.get(part.name), look_at(part.path)
        if seal is None:
            return True
        if version is None or seal.version == version:
            return False
        if seal.checksum is None or seal.checksum != self._checksum(part.path):
            return True
        self._seals[part.name] = Seal(version, seal.checksum)  # copied, or only touched
        return False

    def _checksum(self, path: Path) -> int | None:
        digest = blake2b(digest_size=7)
        try:
            with self._inside.open(path) as file:
                for piece in iter(partial(file.read, _CHUNK_BYTES), b""):
                    digest.update(piece)
        except OSError:
            return None
        return int.from_bytes(digest.digest())
