"""Addresses of servers: used whole, shown without login, query and fragment."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from control_room.security.secret import SHORTEST_KNOWN, Secret, keep_secret

_PRINTABLE = re.compile(r"[!-~]+")


class BadAddress(ValueError):
    """An address that cannot be used. The message says why, and shows nothing of it."""


@dataclass(frozen=True, slots=True)
class Address:
    """The root of a server. ``str`` is what may be shown; login and query only travel.

    ``login`` is ``user:password`` as in the address, but decoded.
    """

    root: str  # without a slash at its end
    login: Secret | None = None
    query: Secret | None = None

    @classmethod
    def of(cls, text: str) -> Address:
        """Take an ``http://`` or ``https://`` address apart. Raises :class:`BadAddress`."""
        if not isinstance(text, str) or not re.match(r"https?://[^/?#]", text, re.IGNORECASE):
            raise BadAddress('expected http://NAME:PORT, such as "http://inference.lan:8000"')
        if not _PRINTABLE.fullmatch(text):
            raise BadAddress("an address has neither spaces nor letters beyond ASCII")
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise BadAddress(
                "what stands after the name is no port; in a login write @ as %40, / as %2F, "
                "# as %23 and ? as %3F"
            ) from None
        login, at, place = parts.netloc.rpartition("@")
        if not parts.hostname or "@" in login or port == 0:
            raise BadAddress("it names no server; in a login write @ as %40")
        address = cls(
            f"{parts.scheme}://{place}{parts.path.rstrip('/')}",
            Secret(unquote(login)) if at and login.strip(":") else None,
            Secret(parts.query) if parts.query else None,
        )
        keep_secret(address.secrets(None))
        return address

    def __str__(self) -> str:
        return self.root

    @property
    def place(self) -> str:
        """Name and port."""
        return urlsplit(self.root).netloc

    def at(self, path: str) -> str:
        """The whole address of ``path`` there, to be asked and not to be shown."""
        if self.query is None:
            return f"{self.root}{path}"
        return f"{self.root}{path}{'&' if '?' in path else '?'}{self.query.reveal()}"

    def headers(self, key: Secret | None) -> dict[str, str]:
        """What proves who asks. A login takes the place of the bearer token."""
        headers = {}
        if key is not None:
            headers = {"X-API-Key": key.reveal(), "Authorization": f"Bearer {key.reveal()}"}
        if self.login is not None:
            headers["Authorization"] = f"Basic {self._basic}"
        return headers

    def secrets(self, key: Secret | None) -> list[str]:
        """Every text that goes along with a request and must not come back.

        Without names of users, and without what is as short as an ordinary word or number.
        """
        found = [] if key is None else [key.reveal()]
        if self.login is not None:
            login = self.login.reveal()
            found += [login, self._basic, login.partition(":")[2]]
        if self.query is not None:
            query = self.query.reveal()
            values = [each.partition("=")[2] for each in query.split("&")]
            found += [query, *values, *map(unquote, values)]
        return [each for each in found if len(each) >= SHORTEST_KNOWN]

    @property
    def _basic(self) -> str:
        assert self.login is not None
        user, colon, password = self.login.reveal().partition(":")
        return base64.b64encode(f"{user}{colon or ':'}{password}".encode()).decode()
