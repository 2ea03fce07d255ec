"""The sizes and colours in which pages are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from tests.support import ROOT

SCREENSHOTS = ROOT / "screenshots"
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
Scheme = Literal["light", "dark"]

every_look = pytest.mark.parametrize(
    ("size", "scheme"), [(size, scheme) for size in SIZES for scheme in ("light", "dark")]
)


@contextmanager
def looking(browser: Browser, size: str, scheme: Scheme) -> Iterator[Page]:
    """A page of this size and colour."""
    width, height = SIZES[size]
    SCREENSHOTS.mkdir(exist_ok=True)
    with browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme
    ) as context:
        context.set_default_timeout(60_000)
        yield context.new_page()


def overflows(page: Page) -> bool:
    """Whether something is wider than the page."""
    main = page.locator('[data-testid="stMain"]')
    return bool(main.evaluate("element => element.scrollWidth > element.clientWidth"))
