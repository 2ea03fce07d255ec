"""Is an answer right, does it keep its regime's contract, and if it fails, how?

Costs stay bounded on long answers, so that scoring never holds up a preview round.
"""

from __future__ import annotations

import difflib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from control_room.judging.contracts import DEFAULT_CONTRACTS, Contracts
from control_room.recording.records import PreviewRecord

FailureMode = Literal[
    "server_error",
    "empty",
    "truncated",
    "contract_violation",
    "format_error",
    "repetition",
    "near_miss",
    "wrong_content",
]


@dataclass(frozen=True, slots=True)
class Failure:
    """What a failure mode means, and what such an answer counts as over the steps.

    There its "content" is wrong, or its "form" alone, or it is "degenerate": no proper answer.
    None: it is no answer of the model, and counts nowhere.
    """

    meaning: str
    counts_as: Literal["content", "form", "degenerate"] | None = "content"


# Charts, filters, the question of drift and docs/DATA.md follow from this; :func:`failure_mode`
# decides, in this order.
FAILURES: Mapping[FailureMode, Failure] = {
    "server_error": Failure("an error of the server in place of an answer; not scored", None),
    "empty": Failure("no content", "degenerate"),
    "truncated": Failure("stopped at the limit of tokens, and not right by then", "degenerate"),
    "contract_violation": Failure("breaks its regime's contract"),
    "format_error": Failure("no JSON where the golden answer is", "form"),
    "repetition": Failure("ends in a loop, which the golden answer does not", "degenerate"),
    "near_miss": Failure(
        "differs in case, space or punctuation alone, or in 15 % of the characters at most"
    ),
    "wrong_content": Failure("anything else"),
}

# Texts that inference servers return in place of an answer; only ever at the start of one.
_SERVER_ERROR = re.compile(
    r"""
      (?:[\w.]*OutOfMemoryError\b|CUDA\ out\ of\ memory|CUDA\ error\b)
    | Traceback\ \(most\ recent\ call\ last\):
    | (?:[\w.]*(?:Error|Exception)):\s
    | (?:HTTP(?:/[\d.]+)?\s+)?5\d\d\s+
      (?:Internal\ Server\ Error|Bad\ Gateway|Service\ Unavailable|Gateway\ Time-?out)
    | (?:Internal\ Server\ Error|Bad\ Gateway|Service\ Unavailable|Gateway\ Time-?out)\W*(?:\n|$)
    | \{\s*"error"\s*:
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SHOWN = 300  # characters of such a text
_FINAL_PUNCTUATION = ".,;:!?…。！？"

# A near miss differs in at most this share of the longer text's characters.
_NEAR_MISS_SHARE = 0.15
_NEAR_MISS_SEARCH = 400  # characters; where the texts differ over more, they are not near

# A loop: the end repeats one piece at least 4 times over at least 24 characters, and that is half
# of the answer or 200 characters. Or, for loops with a counter in them: the answer's end shrinks
# to an eighth when compressed, where prose and JSON answers shrink to 0.35-0.5.
_LOOP_REPEATS = 4
_LOOP_CHARACTERS = 24
_LOOP_CHARACTERS_OF_LONG = 200
_LOOP_WINDOW = 2000
_COMPRESSED_SHARE = 0.125
_COMPRESSED_FROM = 1000
_COMPRESSED_WINDOW = 16_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How one answer did. ``failure_mode`` is None when it is exact and keeps its contract.

    An error of the server in place of an answer is neither right nor wrong: the matches are None,
    and ``error`` says what came instead.
    """

    exact_match: bool | None
    normalized_match: bool | None
    failure_mode: FailureMode | None
    contract_status: dict[str, bool]
    error: str | None = None

    def fields(self) -> dict[str, Any]:
        """As fields of a ``PreviewRecord``."""
        return {name: getattr(self, name) for name in self.__slots__}


def score(
    golden: str,
    answer: str,
    regime: str | None = None,
    *,
    hit_token_limit: bool = False,
    server_failed: bool = False,
    contracts: Contracts = DEFAULT_CONTRACTS,
) -> Score:
    """Everything about one answer: the scored fields of a ``PreviewRecord``.

    A regime without a contract has no checks. ``hit_token_limit`` says that the generation was
    stopped there, ``server_failed`` that the server itself calls the text an error: the text alone
    cannot tell the one, and need not tell the other.
    """
    mode = (
        "server_error"
        if server_failed
        else failure_mode(
            golden, answer, regime, hit_token_limit=hit_token_limit, contracts=contracts
        )
    )
    if mode == "server_error":
        return Score(
            exact_match=None,
            normalized_match=None,
            failure_mode=mode,
            contract_status={},
            error=f"the server answered with an error: {answer.strip()[:_SHOWN]}",
        )
    return Score(
        exact_match=exact_match(golden, answer, regime, contracts=contracts),
        normalized_match=normalized_match(golden, answer, regime, contracts=contracts),
        failure_mode=mode,
        contract_status=contract_status(regime, answer, contracts=contracts),
    )


def judged_elsewhere(record: PreviewRecord) -> PreviewRecord:
    """The preview that another system judged; an error of the server is no answer, and not scored.

    Other systems take it for a wrong one.
    """
    if record.exact_match or failure_mode(record.golden, record.model_answer) != "server_error":
        return record
    return replace(record, **score(record.golden, record.model_answer).fields())


def contract_status(
    regime: str | None, answer: str, *, contracts: Contracts = DEFAULT_CONTRACTS
) -> dict[str, bool]:
    """Which of the regime's named checks the answer passes; none for an unknown regime."""
    status: dict[str, bool] = {}
    for check in contracts.get(regime or "", ()):
        status |= check.status(answer)
    return status


def strip_contract(
    regime: str | None, answer: str, *, contracts: Contracts = DEFAULT_CONTRACTS
) -> str:
    """The answer's content: without its contract's form (also an imperfect one), trimmed."""
    for check in contracts.get(regime or "", ()):
        answer = check.strip(answer)
    return answer.strip()


def exact_match(
    golden: str, answer: str, regime: str | None = None, *, contracts: Contracts = DEFAULT_CONTRACTS
) -> bool:
    """Is the content the same, character by character? The form is the contract's business."""
    return strip_contract(regime, golden, contracts=contracts) == strip_contract(
        regime, answer, contracts=contracts
    )


def normalized_match(
    golden: str, answer: str, regime: str | None = None, *, contracts: Contracts = DEFAULT_CONTRACTS
) -> bool:
    """Is the content the same but for case, whitespace and final punctuation?

    Where the golden answer is a JSON object or array, the values are compared: neither order of
    keys nor layout counts.
    """
    golden = strip_contract(regime, golden, contracts=contracts)
    answer = strip_contract(regime, answer, contracts=contracts)
    if (wanted := _json_container(golden)) is not None:
        given = _json_container(answer)
        try:
            return given is not None and same_json(wanted, given)
        except RecursionError:  # nested almost too deeply to be parsed
            return golden == answer
    return _folded(golden) == _folded(answer)


def failure_mode(
    golden: str,
    answer: str,
    regime: str | None = None,
    *,
    hit_token_limit: bool = False,
    contracts: Contracts = DEFAULT_CONTRACTS,
) -> FailureMode | None:
    """The first that applies, in the order of ``FailureMode``; None for a success.

    A success has the exact content and keeps the contract, wherever its generation ended.
    """
    content = strip_contract(regime, answer, contracts=contracts)
    wanted = strip_contract(regime, golden, contracts=contracts)
    kept = all(contract_status(regime, answer, contracts=contracts).values())
    if content == wanted:
        return None if kept else "contract_violation"
    if _SERVER_ERROR.match(answer.lstrip()) and not _SERVER_ERROR.match(wanted):
        return "server_error"
    if not content:
        return "empty"
    if hit_token_limit:
        return "truncated"
    if not kept:
        return "contract_violation"
    if _json_container(wanted) is not None and _json_container(content) is None:
        return "format_error"
    if is_repetitive(content) and not is_repetitive(wanted):
        return "repetition"
    if normalized_match(wanted, content) or _nearly_same(_folded(wanted), _folded(content)):
        return "near_miss"
    return "wrong_content"


def is_repetitive(text: str) -> bool:
    """Does the text end in a loop of the same piece, word by word or nearly so?"""
    looping = _looping_end(text[-_LOOP_WINDOW:])
    if looping >= _LOOP_CHARACTERS_OF_LONG or (
        looping >= _LOOP_CHARACTERS and looping >= len(text) / 2
    ):
        return True
    end = text[-_COMPRESSED_WINDOW:].encode(errors="replace")
    return len(text) >= _COMPRESSED_FROM and (
        len(zlib.compress(end)) < _COMPRESSED_SHARE * len(end)
    )


def _looping_end(text: str) -> int:
    """How many of the last characters are one piece, repeated at least ``_LOOP_REPEATS`` times.

    The smallest period of each prefix of the reversed text, by the failure function of Knuth,
    Morris and Pratt (1977): linear in the length.
    """
    text = text[::-1]
    border = [0] * len(text)
    longest = k = 0
    for i in range(1, len(text)):
        while k and text[i] != text[k]:
            k = border[k - 1]
        k += text[i] == text[k]
        border[i] = k
        if (i + 1) >= _LOOP_REPEATS * (i + 1 - k):
            longest = i + 1
    return longest


def _nearly_same(wanted: str, given: str) -> bool:
    limit = int(_NEAR_MISS_SHARE * max(len(wanted), len(given)))
    if abs(len(wanted) - len(given)) > limit:
        return False
    start = _same_from_start(wanted, given)
    wanted, given = wanted[start:], given[start:]
    end = _same_from_start(wanted[::-1], given[::-1])
    wanted, given = wanted[: len(wanted) - end], given[: len(given) - end]
    longer = max(len(wanted), len(given))
    if longer <= limit or longer > _NEAR_MISS_SEARCH:
        return longer <= limit
    blocks = difflib.SequenceMatcher(None, wanted, given, autojunk=False).get_matching_blocks()
    return longer - sum(block.size for block in blocks) <= limit


def _same_from_start(a: str, b: str) -> int:
    pairs = enumerate(zip(a, b, strict=False))
    return next((i for i, (x, y) in pairs if x != y), min(len(a), len(b)))


def _folded(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(_FINAL_PUNCTUATION + " ")


def _json_container(text: str) -> dict[str, object] | list[object] | None:
    if not text.startswith(("{", "[")):
        return None
    try:
        value = json.loads(text)
    # A model that loops on "[" nests deeper than the parser can follow.
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, (dict, list)) else None


def same_json(a: object, b: object) -> bool:
    """Equal as JSON values: 1 is 1.0, and true is not 1. May raise ``RecursionError``."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_json(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_json, a, b))
    return isinstance(a, bool) == isinstance(b, bool) and a == b  # True == 1 in Python, not in JSON
