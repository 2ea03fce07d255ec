"""What a browser may load for a page of the app: what the app itself sends, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

# Of the page's own scripts; those with a src are files.
_INLINE: Final = re.compile(rb"<script\s*>(.*?)</script\s*>", re.DOTALL | re.IGNORECASE)


def content_policy(page: bytes) -> str:
    """A Content-Security-Policy under which ``page`` (HTML) works; inline scripts by their hash.

    Styles may stand anywhere: Streamlit and Plotly write them into the document. WebAssembly may be
    compiled, as Streamlit does; text is never run as a script.
    """
    scripts = " ".join(["'self'", "'wasm-unsafe-eval'", *map(_source, _INLINE.findall(page))])
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {scripts}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "manifest-src 'self'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def _source(script: bytes) -> str:
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    return f"'sha256-{digest}'"
