"""Text to token ids and back: known words, emoji and tags whole, everything else by character."""

from __future__ import annotations

import re

from examples.tasks import ANSWER_END, ANSWER_START, STOP_EMOJI, THINK_EMOJI, lexicon

PAD, UNKNOWN, ANSWER, END = "<pad>", "<unk>", "<answer>", "<end>"

_WHOLE = (ANSWER_START, ANSWER_END, *THINK_EMOJI, *STOP_EMOJI)
_PIECE = re.compile("|".join(map(re.escape, _WHOLE)) + r"| ?[A-Za-z]+| [>+=?]|.", re.DOTALL)


class Tokenizer:
    """A fixed vocabulary: the same text always has the same ids, in every run and version."""

    def __init__(self) -> None:
        words = dict.fromkeys(lexicon())
        characters = [chr(code) for code in range(32, 127)]
        spaced = [f" {each}" for each in characters if each.isalpha() or each in ">+=?"]
        pieces = [PAD, UNKNOWN, ANSWER, END, "\n", *characters, *spaced, *_WHOLE]
        pieces += [form for word in words for form in (word, f" {word}")]
        self._pieces = tuple(dict.fromkeys(pieces))
        self._ids = {piece: index for index, piece in enumerate(self._pieces)}
        self.pad_id, self.unknown_id = self._ids[PAD], self._ids[UNKNOWN]
        self.answer_id, self.end_id = self._ids[ANSWER], self._ids[END]

    def __len__(self) -> int:
        return len(self._pieces)

    def encode(self, text: str) -> list[int]:
        """Ids of the text's pieces, without any of the special ones."""
        ids: list[int] = []
        for piece in _PIECE.findall(text):
            known = self._ids.get(piece)
            if known is not None:
                ids.append(known)
            else:
                ids.extend(self._ids.get(character, self.unknown_id) for character in piece)
        return ids

    def decode(self, ids: list[int]) -> str:
        """The text, without padding and end marks."""
        special = {self.pad_id, self.answer_id, self.end_id}
        return "".join(self._pieces[index] for index in ids if index not in special)
