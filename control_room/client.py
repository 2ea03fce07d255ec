"""Asks a running Control Room: the same views as its pages show, as typed dictionaries.

Only the standard library is used. Every method raises :class:`ApiError` when the app cannot be
reached or refuses, naming the address and the reason.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from control_room.api_methods import ApiMethods
from control_room.error_words import words_for
from control_room.security.address import Address, BadAddress
from control_room.security.redaction import shown_url

if TYPE_CHECKING:
    from control_room.api_types import LoggedPreview, MetricSeries, PreviewHistory


class ApiError(RuntimeError):
    """An answer that is none. ``status`` is the HTTP status; None when nothing answered."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Client(ApiMethods):
    """The app at ``address``; each request may take ``timeout_s``.

    Every address of the API that answers JSON has a method (:class:`ApiMethods`).

    A login in the address (``http://user:password@host``) is sent, and shown nowhere.

    While the app reads its history for the first time, methods that ask it wait up to
    ``history_wait_s``.
    """

    def __init__(
        self,
        address: str = "http://127.0.0.1:8501",
        *,
        timeout_s: float = 10.0,
        history_wait_s: float = 60.0,
    ) -> None:
        try:
            self._address = Address.of(address)
        except BadAddress as error:
            raise ApiError(f"{shown_url(address)} is no address of the app: {error}") from None
        self._timeout_s = timeout_s
        self._history_wait_s = history_wait_s

    def preview_history(
        self, *, limit: int = 100, offset: int = 0, **wanted: Any
    ) -> PreviewHistory:
        """One page of the previews that match, newest first; docs/API.md names the filters.

        Long texts are cut on it, and ``cut`` has their lengths.

        ``fields="*,token_log_probs"`` brings the lists of numbers too, ``fields="step,ce"`` only
        what it names: the others are then missing from the dictionaries.
        """
        page: PreviewHistory = self._ask_history(
            "/api/preview/history", limit=limit, offset=offset, **wanted
        )
        return page

    def previews(self, **wanted: Any) -> Iterator[LoggedPreview]:
        """All previews that match, newest first, page by page, with whole texts."""
        offset = 0
        while True:
            page = self.preview_history(limit=500, offset=offset, **wanted)
            for preview in page["previews"]:
                if preview.get("cut"):
                    yield self.preview_by_id(preview["id"], fields=wanted.get("fields"))
                else:
                    yield preview
            offset += page["count"]
            if page["next"] is None:
                return

    def preview_by_id(self, preview_id: str, *, fields: str | None = None) -> LoggedPreview:
        """One preview by its ``id``; ``fields`` as in :meth:`preview_history`."""
        return self.one_preview(preview_id, fields="*" if fields is None else fields)

    def metric_series(
        self, field: str = "loss", *, points: int = 500, **steps: int | None
    ) -> MetricSeries:
        """One metric over steps, thinned; ``min_step`` and ``max_step`` narrow it."""
        answer: MetricSeries = self._ask_history(
            "/api/metrics/series", field=field, points=points, **steps
        )
        return answer

    def _ask_history(self, path: str, /, **query: Any) -> Any:
        deadline = time.monotonic() + self._history_wait_s
        while True:
            try:
                return self._get(path, **query)
            except ApiError as error:
                if error.status != 503 or time.monotonic() > deadline:
                    raise
            time.sleep(0.5)

    def _get(self, path: str, /, **query: Any) -> Any:
        given = {name: _written(value) for name, value in query.items() if value is not None}
        asked = f"{path}{'?' + urlencode(given) if given else ''}"
        address = f"{self._address}{asked}"
        try:
            request = Request(self._address.at(asked), headers={"Accept": "application/json"})
            for name, value in self._address.headers(None).items():
                # These are not passed on to where a redirect leads.
                request.add_unredirected_header(name, value)
            with urlopen(request, timeout=self._timeout_s) as answer:
                return json.load(answer)
        except HTTPError as error:
            with error:
                raise ApiError(f"{address}: {_reason(error)}", error.code) from None
        except (URLError, HTTPException, OSError, ValueError) as error:
            why = words_for(error)
            raise ApiError(f"{address} does not answer: {why}. Is the app running?") from None


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    isoformat = getattr(value, "isoformat", None)
    return str(value if isoformat is None else isoformat())


def _reason(error: HTTPError) -> str:
    try:
        detail = json.load(error)["detail"]
    except (ValueError, KeyError, TypeError):
        return f"{error.code} {error.reason}"
    if isinstance(detail, list):
        return "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in detail)
    return str(detail)
