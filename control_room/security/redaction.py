"""What others say, and what is written into files and logs, without the secrets in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache

from control_room.security.secret import HIDDEN, known_secrets

_NAME = (
    r"(?:[\w-]{0,40}(?:api[_-]?key|access[_-]?key|private[_-]?key|secret|passw(?:or)?d|passphrase"
    r"|credentials?)[\w-]{0,40}"
    r"|(?:[\w-]{0,40}[_-])?(?:hub|hf|huggingface|auth|access|api|bearer|refresh|session|wandb|github"
    r"|gitlab|slack|security|login|bot)[_-]?token"
    r"|token|signature|sig)"
)
# A text may be cut within a value.
_VALUE = r"""(?:"[^"\n]*(?:"|\Z)|'[^'\n]*(?:'|\Z)|[^\s,;&)}\]"']+)"""


# Compiled when they are first wanted: a trainer that imports a Recorder need not wait for them.
@cache
def _secret_name() -> re.Pattern[str]:
    return re.compile(_NAME, re.IGNORECASE)


@cache
def _rules() -> tuple[tuple[re.Pattern[str], str], ...]:
    return (
        (
            re.compile(
                r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----"
                r"(?:[^-]|-(?!----END ))*(?:-----END [A-Z ]{0,40}-----)?"
            ),
            f"-----BEGIN PRIVATE KEY----- {HIDDEN}",
        ),
        (
            re.compile(
                r"""\b((?:proxy-)?authorization|x-api-key|set-cookie|cookie)\b"""
                r"""(["']?\s{0,3}[:=,]\s{0,3}b?["']?)(?:(bearer|basic|token)\s+)?[^\s"',;)]+""",
                re.IGNORECASE,
            ),
            rf"\1\2{HIDDEN}",
        ),
        (
            re.compile(r"\b(bearer|basic)\s+(?=\S*[\d=])[\w.~+/=-]{8,}", re.IGNORECASE),
            rf"\1 {HIDDEN}",
        ),
        (re.compile(rf"(?<![\w-])(--?{_NAME})(\s+|=){_VALUE}", re.IGNORECASE), rf"\1\2{HIDDEN}"),
        (
            re.compile(
                rf"(?<![\w-])({_NAME})([\"']?\s{{0,3}}[:=]\s{{0,3}}b?){_VALUE}", re.IGNORECASE
            ),
            rf"\1\2{HIDDEN}",
        ),
        (
            re.compile(
                r"\b(?:hf_[A-Za-z0-9]{16,}|sk-[\w-]{16,}|gh[pousr]_\w{20,}|github_pat_\w{20,}"
                r"|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|AKIA[A-Z0-9]{12,}"
                r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+)"
            ),
            HIDDEN,
        ),
    )


def is_secret_name(name: str) -> bool:
    """Whether a setting of this name is a secret: ``hub_token`` is, ``max_tokens`` is not."""
    return _secret_name().fullmatch(name.strip().lstrip("-")) is not None


def redacted(text: str) -> str:
    """``text`` without known secrets, logins and queries of addresses, and what looks like keys."""
    for secret in known_secrets():
        if secret in text:
            text = text.replace(secret, HIDDEN)
    text = urls_shown(text)
    for pattern, instead in _rules():
        text = pattern.sub(instead, text)
    return text


def shown_url(text: str) -> str:
    """An address as it may be shown: without login, query and fragment."""
    return urls_shown(text.strip())


def urls_shown(text: str) -> str:
    """``text`` in which every address is as it may be shown."""
    return _url().sub(lambda found: found[1] + _rest_shown(found[2]), text)


@cache
def _url() -> re.Pattern[str]:
    return re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]{1,20}://)([^\s'\"<>`]+)")


def _rest_shown(rest: str) -> str:
    # What stands before the last @ may be a password, whatever signs it has.
    before, at, after = rest.rpartition("@")
    kept = f"{HIDDEN}@{after}" if at and before else rest
    place = re.split(r"[?#]", kept, maxsplit=1)[0]
    return place if place == kept else f"{place}?{HIDDEN}"


def without(secrets: Iterable[str], body: bytes) -> bytes:
    """An answer's body in which none of these stands, as it is or as JSON spells it."""
    for secret in secrets:
        spelt = json.dumps(secret)[1:-1]
        for form in {secret, spelt, spelt.replace("/", "\\/")}:
            if (sought := form.encode()) in body:
                body = body.replace(sought, HIDDEN.encode())
    return body
