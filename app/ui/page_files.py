"""The pages: each is one file, which declares its title, icon and place as ``PAGE = Page(...)``.

That is read without running the file. The built-in ones are in ``pages/``; ``pages_dir`` in the
settings names a directory with more.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from streamlit.errors import StreamlitAPIException
from streamlit.string_util import validate_icon_or_emoji

BUILT_IN = Path(__file__).resolve().parents[2] / "pages"
LAST = 1000
# Addresses of the API and of Streamlit, which a page cannot have.
RESERVED: Final = frozenset({"api", "health", "metrics", "status", "component", "media", "static"})


@dataclass(frozen=True, slots=True)
class Page:
    """How a page is called, its icon, and its place: by ``order``; the first is the front page."""

    title: str
    icon: str = ":material/article:"  # a named one of Material Symbols, or an emoji
    order: int = LAST

    def __post_init__(self) -> None:
        for name, kind in (("title", str), ("icon", str), ("order", int)):
            if not isinstance(getattr(self, name), kind):
                raise ValueError(f"{name} must be {'text' if kind is str else 'a whole number'}")


@dataclass(frozen=True, slots=True)
class PageFile:
    """A page and the file it is in. Its address is the file's name."""

    path: Path
    page: Page


@cache
def page_files(directory: Path | None = None) -> tuple[tuple[PageFile, ...], tuple[str, ...]]:
    """All pages in their order, those of the user's ``directory`` too, read once in a process.

    Beside them, for a person: what of the directory is left out, why, and what to do.
    """
    pages = [PageFile(path, declared(path)) for path in BUILT_IN.glob("[!_]*.py")]
    problems: list[str] = []
    if directory is not None:
        added, problems = _of_user(directory, {each.path.stem for each in pages})
        pages += added
    pages.sort(key=lambda each: (each.page.order, each.path.stem))
    return tuple(pages), tuple(problems)


def declared(path: Path) -> Page:
    """What the file declares; without a declaration, it is called as the file and comes last.

    Raises:
        ValueError: it is no Python, or its declaration cannot be read.
        OSError: it cannot be read at all.
    """
    if not path.is_file():  # a pipe would be waited for
        raise ValueError("it is no regular file")
    try:
        tree = ast.parse(path.read_bytes(), path.name)
    except SyntaxError as error:
        raise ValueError(f"line {error.lineno} is no Python ({error.msg})") from None
    except (RecursionError, MemoryError):
        raise ValueError("it nests too deeply") from None
    for statement in tree.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id="PAGE")], value=value)
                | ast.AnnAssign(target=ast.Name(id="PAGE"), value=ast.expr() as value)
            ):
                return _page(value)
    return Page(path.stem.replace("_", " ").capitalize())


def _page(value: ast.expr) -> Page:
    match value:
        case ast.Call(func=ast.Name(id="Page"), args=[], keywords=keywords):
            try:
                given = {str(each.arg): ast.literal_eval(each.value) for each in keywords}
                page = Page(**given)
                validate_icon_or_emoji(page.icon)
                return page
            except (TypeError, ValueError, StreamlitAPIException) as error:
                reason = " ".join(str(error).replace("Page.__init__() ", "").split())
        case _:
            reason = "it is something else"
    raise ValueError(
        'PAGE must be written as Page(title="...", icon=":material/...:", order=55), with nothing '
        f"to be worked out ({reason})"
    )


def _of_user(directory: Path, taken: set[str]) -> tuple[list[PageFile], list[str]]:
    """The pages of ``pages_dir``, and what is wrong with the others."""
    pages, problems = [], []
    try:
        entries = sorted(directory.iterdir())
    except OSError as error:
        return [], [
            f"pages_dir = {directory}: {error.strerror}. Name the directory that holds your pages."
        ]
    for path in entries:
        if path.name.startswith(("_", ".")):
            continue
        try:
            if path.suffix != ".py":
                raise ValueError("is no Python file; a name that begins with _ is passed over")
            if not path.stem.isidentifier():
                raise ValueError("name it with letters, digits and _ alone: that is its address")
            if path.stem in taken | RESERVED:
                raise ValueError(f"the app has /{path.stem} already; rename the file")
            pages.append(PageFile(path, declared(path)))
        except OSError as error:
            problems.append(f"{path} is left out: {error.strerror}.")
        except ValueError as error:
            problems.append(f"{path} is left out: {error}.")
    return pages, problems
