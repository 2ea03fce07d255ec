"""A view as the bytes that go over the wire, made once per tick and served to everybody."""

from __future__ import annotations

import gzip
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel

from app.views.models import Views

STATUS_VIEWS: Final = ("live", "preview", "evals", "system")

_GZIP_FROM_BYTES = 1_000  # below, packing saves nothing on the wire
_GZIP_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Ready:
    """JSON, the same packed where that is worth it, and the tag that names this content."""

    body: bytes
    packed: bytes | None
    etag: str


def ready_views(views: Views, boot_id: str) -> Mapping[str, Ready]:
    """The four status views of one tick, by name."""
    return MappingProxyType(
        {name: ready(getattr(views, name), f'"{boot_id}-{views.version}"') for name in STATUS_VIEWS}
    )


def ready(view: BaseModel, etag: str) -> Ready:
    """One view; NaN and infinity, which JSON lacks, become null."""
    body = view.model_dump_json().encode()
    packed = None
    if len(body) >= _GZIP_FROM_BYTES:
        packed = gzip.compress(body, _GZIP_LEVEL, mtime=0)
    return Ready(body, packed, etag)


def new_boot_id() -> str:
    """What tells the tags of this process from those of the one before it."""
    return secrets.token_hex(4)
