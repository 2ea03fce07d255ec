"""Examples from JSONL files: found once, read again when they are asked.

A file is read through one line at a time and only places are kept, so a set may be larger than the
memory. Which examples a round asks depends on their ids and a seed alone: rounds compare, also
when a file has grown.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from control_room.recording.encoding import load_json
from control_room.security.inside import Inside, opened

Message = Mapping[str, str]
_MOST_PROBLEMS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A question and its golden answer. ``messages`` end with the question."""

    example_id: str
    messages: tuple[Message, ...]
    golden: str
    dataset_id: str | None = None
    regime: str | None = None
    pattern: str | None = None
    source_pool: str | None = None

    @property
    def prompt(self) -> str:
        """What is logged, and asked of a server without chat: one message is itself."""
        if len(self.messages) == 1:
            return self.messages[0]["content"]
        return "\n\n".join(f"{each['role']}: {each['content']}" for each in self.messages)


class BadExample(ValueError):
    """A line is no example. The message names the file, the line and what is wrong."""


@dataclass(frozen=True, slots=True)
class ExampleSource:
    """A file, and what its examples are when they do not say."""

    file: Path
    source_pool: str = "fixed_eval"
    dataset_id: str | None = None
    regime: str | None = None
    pattern: str | None = None
    inside: Inside | None = None  # a run: opened only where it lies in there

    def open(self) -> BinaryIO:
        """The file. Raises ``OSError``."""
        return opened(self.file, self.inside)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an example stands."""

    source: int
    offset: int
    line: int


class ExampleSet:
    """The examples of several files. Lines that are none are left out; ``problems`` names them."""

    def __init__(self, sources: Sequence[ExampleSource]) -> None:
        self._sources = tuple(sources)
        self.problems: list[str] = []  # of the last look through the files, the first few

    def choose(self, count: int, *, seed: int, pools: Sequence[str] = ()) -> list[Place]:
        """``count`` places (or all, if fewer), the same for the same seed, in a fixed order.

        Each id is drawn once: of two examples with one id the first counts.
        """
        wanted = ((draw, place) for _, draw, place in self._look(seed, pools))
        return [place for _, place in heapq.nsmallest(count, wanted)]

    def find(self, ids: Collection[str]) -> list[Place]:
        """The places of these examples, as far as they are there."""
        return [place for found, _, place in self._look(0, ()) if found in ids]

    def read(self, places: Iterable[Place]) -> Iterator[Example]:
        """The examples at ``places``, one at a time; one that has gone meanwhile is left out."""
        for place in places:
            source = self._sources[place.source]
            try:
                with source.open() as file:
                    file.seek(place.offset)
                    yield parse_example(file.readline(), source, place.line)
            except (OSError, BadExample) as error:
                self._note(str(error))

    def _look(self, seed: int, pools: Sequence[str]) -> Iterator[tuple[str, bytes, Place]]:
        """Id, draw and place of each example."""
        self.problems = []
        seen: set[bytes] = set()
        for number, source in enumerate(self._sources):
            try:
                for example, place in _lines(source, number, self._note):
                    draw = _draw(seed, example.example_id)
                    if draw not in seen and (not pools or example.source_pool in pools):
                        seen.add(draw)
                        yield example.example_id, draw, place
            except OSError as error:
                self._note(f"{source.file} cannot be read: {error.strerror or error}")

    def _note(self, problem: str) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)


def _lines(
    source: ExampleSource, number: int, note: Callable[[str], None]
) -> Iterator[tuple[Example, Place]]:
    offset = 0
    with source.open() as file:
        for line, text in enumerate(file, start=1):
            if text.strip():
                try:
                    yield parse_example(text, source, line), Place(number, offset, line)
                except BadExample as error:
                    note(str(error))
            offset += len(text)


def parse_example(line: bytes, source: ExampleSource, number: int) -> Example:
    """One line: ``messages`` that end with the assistant's answer, or ``prompt`` and ``golden``.

    ``answer``, ``completion`` and ``response`` say ``golden`` as well. Without an ``id`` the
    question names itself. Raises :class:`BadExample`.
    """
    where = f"{source.file}, line {number}"
    try:
        told = load_json(line)
    except ValueError as error:
        raise BadExample(f"{where}: no JSON: {error}") from None
    if not isinstance(told, dict):
        raise BadExample(f"{where}: expected an object")
    messages, golden = _conversation(told, where)
    named = told.get("id", told.get("example_id"))
    return Example(
        example_id=str(named) if named is not None else _hash(messages),
        messages=messages,
        golden=golden,
        dataset_id=_text(told, "dataset_id", "dataset") or source.dataset_id or source.file.stem,
        regime=_text(told, "regime") or source.regime,
        pattern=_text(told, "pattern") or source.pattern,
        source_pool=_text(told, "source_pool", "pool") or source.source_pool,
    )


def _conversation(told: Mapping[str, Any], where: str) -> tuple[tuple[Message, ...], str]:
    golden = _text(told, "golden", "answer", "completion", "response")
    if "messages" not in told:
        prompt = _text(told, "prompt", "question")
        if prompt is None or golden is None:
            raise BadExample(f"{where}: expected messages, or prompt and golden")
        return ({"role": "user", "content": prompt},), golden
    messages = told["messages"]
    if not isinstance(messages, list) or not all(map(_is_message, messages)):
        raise BadExample(f"{where}: messages: expected a list of role and content")
    asked = [{"role": each["role"], "content": each["content"]} for each in messages]
    if asked and asked[-1]["role"] == "assistant":
        golden = asked.pop()["content"] if golden is None else golden
    if not asked or golden is None:
        raise BadExample(f"{where}: expected a question, then the assistant's golden answer")
    return tuple(asked), golden


def _is_message(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("role"), str)
        and isinstance(value.get("content"), str)
    )


def _text(told: Mapping[str, Any], *names: str) -> str | None:
    return next((told[name] for name in names if isinstance(told.get(name), str)), None)


def _hash(messages: Sequence[Message]) -> str:
    text = json.dumps([[each["role"], each["content"]] for each in messages])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _draw(seed: int, example_id: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{example_id}".encode(errors="replace")).digest()[:12]


def as_failure(example: Example) -> Example:
    """The same example, asked again because it was answered wrongly."""
    return replace(example, source_pool="failures")
