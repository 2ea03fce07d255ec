"""Errors in the project's own words, by their class.

What a library says of an error may quote what it was handed: a header, an address, a line of a
file. So its text goes nowhere but into the log.
"""

from __future__ import annotations

import errno
import http.client
import json
import os
import socket
import ssl
import subprocess
import tomllib
import urllib.error
from collections.abc import Iterator

_DEEPEST = 8  # errors that were raised from errors

# The first that one of them is counts.
_CLASSES: tuple[tuple[type[BaseException], str], ...] = (
    (ConnectionRefusedError, "connection refused"),
    (ConnectionResetError, "it hung up"),
    (ConnectionAbortedError, "it hung up"),
    (BrokenPipeError, "it hung up"),
    (http.client.RemoteDisconnected, "it hung up"),
    (socket.gaierror, "its name is not known"),
    (TimeoutError, "it timed out"),
    (subprocess.TimeoutExpired, "it timed out"),
    (ssl.SSLError, "it does not speak TLS as it should"),
    (http.client.InvalidURL, "the address is none"),
    (http.client.HTTPException, "it does not speak HTTP as it should"),
    (json.JSONDecodeError, "it is no JSON"),
    (tomllib.TOMLDecodeError, "it is no TOML"),
    (UnicodeError, "it is no text in UTF-8"),
    (RecursionError, "it is nested too deeply"),
    (MemoryError, "it takes more memory than there is"),
    (EOFError, "it ends too early"),
)
# Of libraries that may not be there, by the names of their classes.
_NAMES = {
    "ConnectTimeout": "it timed out",
    "ReadTimeout": "it timed out",
    "WriteTimeout": "it timed out",
    "PoolTimeout": "it timed out",
    "ConnectError": "no connection",
    "ReadError": "it hung up",
    "WriteError": "it hung up",
    "RemoteProtocolError": "it hung up, or does not speak HTTP as it should",
    "LocalProtocolError": "the request cannot be sent",
    "UnsupportedProtocol": "the address is none",
    "InvalidURL": "the address is none",
    "DecodingError": "it is packed in a way that cannot be undone",
    "ProxyCommandFailure": "the ProxyCommand ended",
    "IncompatiblePeer": "it agrees to no way of encrypting",
    "AuthenticationError": "it does not take the password",
}
# OpenSSL's numbers of what is wrong with a certificate.
_CERTIFICATES = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it signed itself",
    19: "its authority is not known",
    20: "its authority is not known",
    62: "it is of another name",
    64: "it is of another address",
}
_SYSTEM = frozenset(errno.errorcode)


def words_for(error: BaseException) -> str:
    """What is wrong, in words that quote nothing."""
    chain = list(_chain(error))
    for each in chain:
        if isinstance(each, ssl.SSLCertVerificationError):
            why = _CERTIFICATES.get(each.verify_code)
            return "its TLS certificate is not trusted" + (f": {why}" if why else "")
    for each in chain:
        for kind, words in _CLASSES:
            if isinstance(each, kind):
                return words
        if isinstance(each, OSError) and each.errno in _SYSTEM:
            return os.strerror(each.errno).lower()
    for each in chain:
        for kind in type(each).__mro__:
            if kind.__name__ in _NAMES:
                return _NAMES[kind.__name__]
    return f"an error of the kind {type(error).__name__}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, the innermost last."""
    current: BaseException | None = error
    for _ in range(_DEEPEST):
        if current is None:
            return
        yield current
        reason = getattr(current, "reason", None)
        if isinstance(current, urllib.error.URLError) and isinstance(reason, BaseException):
            current = reason
        else:
            current = current.__cause__ or current.__context__
