"""How far each file of the logs has been read, as the index keeps it: the table ``files``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from control_room.extra import load_extra
from control_room.history.archives_read import Seal
from control_room.logs.file_identity import Version
from control_room.logs.tail import Position
from control_room.rundir import LogKind

_ARCHIVED = -1  # in place of the inode of a day that was read from its archive
_COLUMNS = (
    *("kind", "name", "path", "inode", "offset", "lines", "fingerprint", "skipping", "checksum"),
    *("seen_inode", "seen_size", "seen_mtime_ns", "seen_ctime_ns"),
)
_QUOTED = ", ".join(f'"{name}"' for name in _COLUMNS)

PlainFile = tuple[str, Position]  # its name, and how far it was read


@dataclass(frozen=True, slots=True)
class Stored:
    """By part: its plain file, or what its archive was (None: it was damaged)."""

    plain: Mapping[str, PlainFile]
    archives: Mapping[str, Seal | None]

    @property
    def by_part(self) -> dict[str, PlainFile | None]:
        """Each part with its plain file; None: it was read from an archive."""
        return {**self.plain, **dict.fromkeys(self.archives)}


def positions_in(connection: Any, kind: LogKind) -> Stored:
    """What the table holds."""
    rows = connection.execute(f"SELECT {_QUOTED} FROM files WHERE kind = ?", [kind]).fetchall()
    plain: dict[str, PlainFile] = {}
    archives: dict[str, Seal | None] = {}
    for _, name, path, inode, offset, lines, fingerprint, skipping, checksum, *seen in rows:
        version = None if seen[0] is None else Version(*seen)
        if inode == _ARCHIVED:
            archives[name] = None if skipping else Seal(version, checksum)
        else:
            at = Position(inode, offset, lines, bytes(fingerprint), skipping, version, checksum)
            plain[name] = path, at
    return Stored(plain, archives)


def keep_positions(
    connection: Any, kind: LogKind, news: Mapping[str, PlainFile], known: Collection[str]
) -> None:
    """Write where plain files have been read to; ``known`` parts have a row already."""
    rows = {
        part: [
            *(kind, part, file, at.inode, at.offset, at.lines, at.fingerprint, at.skipping),
            *(at.checksum, *_seen(at.version)),
        ]
        for part, (file, at) in news.items()
    }
    _insert(connection, [row for part, row in rows.items() if part not in known])
    changed = [row for part, row in rows.items() if part in known]
    if not changed:
        return
    new = ", ".join(f'"{name}" = news."{name}"' for name in _COLUMNS[2:])
    connection.register("news", _table(changed))
    connection.execute(
        f"UPDATE files SET {new} FROM news WHERE files.kind = news.kind AND files.name = news.name"
    )
    connection.unregister("news")


def keep_archives(
    connection: Any, kind: LogKind, seals: Mapping[str, Seal], damaged: Collection[str]
) -> None:
    """Write what the archives of parts were when they were read."""
    _insert(
        connection,
        [
            [
                *(kind, part, None, _ARCHIVED, None, 0, b"", part in damaged),
                *(seal.checksum, *_seen(seal.version)),
            ]
            for part, seal in seals.items()
        ],
    )


def _seen(version: Version | None) -> Sequence[int | None]:
    if version is None:
        return [None] * 4
    return [version.inode, version.size, version.mtime_ns, version.ctime_ns]


def _insert(connection: Any, rows: Sequence[Sequence[object]]) -> None:
    if rows:
        connection.register("news", _table(rows))
        connection.execute(f"INSERT INTO files ({_QUOTED}) SELECT {_QUOTED} FROM news")
        connection.unregister("news")


def _table(rows: Sequence[Sequence[object]]) -> Any:
    arrow = load_extra("pyarrow")
    texts = ("kind", "name", "path")
    kinds = {
        **dict.fromkeys(texts, arrow.string()),
        "fingerprint": arrow.binary(),
        "skipping": arrow.bool_(),
    }
    columns = zip(_COLUMNS, zip(*rows, strict=True), strict=True)
    return arrow.table(
        {name: arrow.array(values, kinds.get(name, arrow.int64())) for name, values in columns}
    )
