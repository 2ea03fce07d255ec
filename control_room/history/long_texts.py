"""Texts of one preview that are too long to be held: their lengths, and they piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

PIECE_BYTES = 4 * 2**20
# Texts up to here are held whole: a row has two dozen of them.
SHORT_BYTES = 2**17


@dataclass(frozen=True, slots=True)
class Text:
    """A text of the row at ``seq``: an expression of SQL over its columns, and how long it is."""

    seq: int
    expression: str
    characters: int
    size_bytes: int

    @property
    def is_long(self) -> bool:
        """Whether it is better read in pieces."""
        return self.size_bytes > SHORT_BYTES

    def pieces(self, cursor: duckdb.DuckDBPyConnection, made: str = "{0}") -> Iterator[bytes]:
        """The text in UTF-8, in some megabytes at a time; ``made`` is what is made of each."""
        most = max(1, PIECE_BYTES * self.characters // max(1, self.size_bytes))
        piece = made.format(f"substring({self.expression}, ?, ?)")
        query = f"SELECT {piece} AS piece FROM previews WHERE seq = ?"
        for start in range(0, self.characters, most):
            found = cursor.sql(query, params=[start + 1, most, self.seq]).to_arrow_table()
            yield found.column(0).chunk(0)[0].as_buffer().to_pybytes()


def texts_of(
    cursor: duckdb.DuckDBPyConnection, seq: int, expressions: Mapping[str, str]
) -> dict[str, Text]:
    """Texts of the row by their names, without those that it does not have."""
    lengths = ", ".join(f"length({each}), strlen({each})" for each in expressions.values())
    query = f"SELECT {lengths} FROM previews WHERE seq = ?"
    (row,) = cursor.execute(query, [seq]).fetchall()
    pairs = zip(expressions.items(), row[::2], row[1::2], strict=True)
    return {
        name: Text(seq, expression, characters, size)
        for (name, expression), characters, size in pairs
        if characters is not None
    }
