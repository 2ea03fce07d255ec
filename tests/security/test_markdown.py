"""What came from outside is never read as Markdown, which loads pictures and looks like ours."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT

# Elements of Streamlit that read Markdown, with which of their arguments they do.
READS_MARKDOWN = {
    name: arguments
    for names, arguments in (
        (
            ("markdown", "caption", "info", "warning", "error", "success", "toast", "write"),
            ("body",),
        ),
        (("title", "header", "subheader", "badge", "latex"), ("body",)),
        (("expander", "popover", "button", "download_button", "link_button"), ("label",)),
        (("form_submit_button", "page_link", "checkbox", "toggle", "metric"), ("label",)),
        (("selectbox", "multiselect", "text_input", "text_area", "number_input"), ("label",)),
        (("slider", "select_slider", "date_input", "file_uploader", "color_picker"), ("label",)),
        (("segmented_control", "pills", "radio"), ("label", "options")),
        (("tabs",), ("tabs",)),
        (("dialog", "Page", "set_page_config", "spinner", "status", "feedback"), ("title",)),
        (("column_config", "Column", "TextColumn", "NumberColumn", "ProgressColumn"), ("label",)),
    )
    for name in names
    for arguments in [arguments]
}
ALSO = ("help", "captions")
# Names that hold our own words wherever they stand, and why.
OURS = {
    ("app/ui/main.py", "file.path"): "a file of pages/ or pages_dir",
    ("app/ui/main.py", "file.page.title"): "what that file declares",
    ("app/ui/filter_bar.py", "label"): "declared with the filter",
    ("pages/compare.py", "label"): "A, before and B, after",
    ("pages/compare.py", "KINDS"): "the four kinds of sides",
    ("pages/evals.py", "title"): "written out beside it",
    ("pages/heads.py", "HEAD_METRICS"): "columns of the record",
    ("pages/previews.py", "label"): "Newer and Older",
    ("pages/stability.py", "list(RANKINGS)"): "written out in the page",
    ("pages/sql.py", "list(EXAMPLES)"): "written out in the page",
    ("pages/stability.py", "SHOWN"): "a number",
}
SOURCES = sorted((*(ROOT / "app").rglob("*.py"), *(ROOT / "pages").rglob("*.py")))


def told_as_markdown(tree: ast.AST) -> Iterator[ast.expr]:
    """The arguments that elements read as Markdown."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        if call.func.attr not in READS_MARKDOWN or not _is_streamlit(call.func.value):
            continue
        wanted = READS_MARKDOWN[call.func.attr]
        yield from call.args[: len(wanted)]
        yield from (each.value for each in call.keywords if each.arg in (*wanted, *ALSO))


def _is_streamlit(value: ast.expr) -> bool:
    """``st``, a part of it, or a container that was made with it."""
    name = value
    while isinstance(name, ast.Attribute):
        name = name.value
    return isinstance(name, ast.Name) and name.id not in ("kit", "log", "logging", "parser", "html")


def is_ours(value: ast.expr, file: str) -> bool:
    """Whether it cannot hold what came from outside: our words, numbers, or made plain."""
    if isinstance(value, ast.Constant):
        return True
    if (file, ast.unparse(value)) in OURS:
        return True
    if isinstance(value, ast.List | ast.Tuple):
        return all(is_ours(each, file) for each in value.elts)
    if isinstance(value, ast.JoinedStr):
        return all(is_ours(each, file) for each in value.values)
    if isinstance(value, ast.FormattedValue):
        # A format of numbers raises for a text.
        spec = "" if value.format_spec is None else ast.unparse(value.format_spec)
        return any(sign in spec for sign in ",gfd") or is_ours(value.value, file)
    if isinstance(value, ast.IfExp):
        return is_ours(value.body, file) and is_ours(value.orelse, file)
    if isinstance(value, ast.Call):
        if ast.unparse(value.func) == "plain" or ast.unparse(value.func) == "len":
            return True
        return ast.unparse(value).startswith(("'\\n\\n'.join(map(plain,", "str(len("))
    return False


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_from_outside_is_read_as_markdown(path: Path) -> None:
    file = path.relative_to(ROOT).as_posix()
    tree = ast.parse(path.read_text())
    assert [ast.unparse(v) for v in told_as_markdown(tree) if not is_ours(v, file)] == []


@pytest.mark.parametrize(
    "line",
    [
        "st.warning(reason)",
        "st.caption(f'from {name}')",
        "with bar, st.popover(name): pass",
        "st.button('ok', help=told)",
        "st.tabs([first, 'Chart'])",
        "left.metric(name, 5)",
        "st.pills('Runs', names)",
    ],
)
def test_the_rule_sees_what_breaks_it(line: str) -> None:
    told = list(told_as_markdown(ast.parse(line)))
    assert not all(is_ours(value, "pages/any.py") for value in told)
