"""The documentation page: its scripts come from here, and it may run no others."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

from app.serving.content_policy import content_policy

DOCS_STATIC: Final = "/api/docs-static"


def docs_page(api: FastAPI) -> None:
    """Add ``/api/docs``, over the files that lie at :data:`DOCS_STATIC`."""
    page = get_swagger_ui_html(
        openapi_url=str(api.openapi_url),
        title=f"{api.title} - Swagger UI",
        swagger_js_url=f"{DOCS_STATIC}/swagger-ui-bundle.js",
        swagger_css_url=f"{DOCS_STATIC}/swagger-ui.css",
        swagger_favicon_url=f"{DOCS_STATIC}/favicon.png",
        # Else the page asks a server elsewhere whether the description is valid.
        swagger_ui_parameters={"validatorUrl": None},
    )
    body = bytes(page.body)
    headers = {"Content-Security-Policy": content_policy(body)}

    # An answer of its own for each: what packs it writes into its headers.
    @api.get("/api/docs", include_in_schema=False)
    async def documentation() -> Response:
        return HTMLResponse(body, headers=headers)
