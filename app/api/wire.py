"""Answers as bytes: packed for those who take it, and not sent twice."""

from __future__ import annotations

import gzip

from fastapi import Request, Response

from app.views.ready import Ready

JSON = "application/json"
_GZIP_FROM_BYTES = 4_000


def if_changed(request: Request, ready: Ready) -> Response:
    """The bytes, or 304 to whoever has them already."""
    headers = {"ETag": ready.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if ready.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if ready.packed is not None and takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
        return Response(ready.packed, media_type=JSON, headers=headers)
    return Response(ready.body, media_type=JSON, headers=headers)


def packed_json(request: Request, body: bytes) -> Response:
    """JSON, packed where that is taken and worth it."""
    headers = {"Vary": "Accept-Encoding"}
    if len(body) >= _GZIP_FROM_BYTES and takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
        body = gzip.compress(body, 1, mtime=0)
    return Response(body, media_type=JSON, headers=headers)


def takes_gzip(request: Request) -> bool:
    """Whether the client reads gzip."""
    return "gzip" in request.headers.get("accept-encoding", "")
