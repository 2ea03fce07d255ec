"""Pages: what a file declares of itself, their order, and the user's own beside the built-in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.api import PATHS
from app.ui.page_files import BUILT_IN, LAST, RESERVED, Page, declared, page_files

IMPORTS = "from app.ui.page_files import Page\n\n"


def page_in(directory: Path, name: str, declaration: str, rest: str = "") -> Path:
    """A page's file."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"{IMPORTS}{declaration}\n{rest}")
    return path


def test_the_built_in_pages_stand_in_their_order_with_the_live_page_in_front() -> None:
    pages, problems = page_files()
    assert [each.page.title for each in pages] == [
        *("Live", "Previews", "Analytics", "Evals", "Compare", "Stability", "Heads", "Runs"),
        *("System", "SQL"),
    ]
    assert problems == ()


def test_every_built_in_page_declares_all_of_it() -> None:
    for path in BUILT_IN.glob("*.py"):
        page = declared(path)
        assert page.icon.startswith(":material/")
        assert page.order < LAST


def test_a_page_is_declared_in_its_file_which_is_not_run(tmp_path: Path) -> None:
    path = page_in(
        tmp_path,
        "tokens.py",
        'PAGE = Page(title="Tokens", icon="🪙", order=15)',
        "raise SystemExit",
    )
    assert declared(path) == Page("Tokens", "🪙", 15)


def test_a_declaration_may_be_typed(tmp_path: Path) -> None:
    path = page_in(tmp_path, "tokens.py", 'PAGE: Page = Page(title="Tokens")')
    assert declared(path) == Page("Tokens")


def test_without_a_declaration_it_is_called_as_its_file_and_comes_last(tmp_path: Path) -> None:
    assert declared(page_in(tmp_path, "my_page.py", "")) == Page("My page", order=LAST)


@pytest.mark.parametrize(
    ("declaration", "why"),
    [
        ("PAGE = 3", "it is something else"),
        ("PAGE = Page('Tokens')", "it is something else"),
        ("PAGE = Page(title=name())", "malformed node"),
        ("PAGE = Page(titel='Tokens')", "unexpected keyword argument 'titel'"),
        ("PAGE = Page(icon='🪙')", "missing 1 required positional argument: 'title'"),
        ("PAGE = Page(title='Tokens', order='first')", "order must be a whole number"),
        ("PAGE = Page(title='Tokens', icon='coin')", '"coin" is not a valid icon'),
        ("PAGE = Page(title='Tokens', icon=':material/no_such:')", "no_such"),
        ("PAGE = Page(**{'title': 'Tokens'})", "keyword"),
        ("PAGE = Page(title=", "line 3 is no Python ('(' was never closed)"),
    ],
)
def test_a_wrong_declaration_says_what_it_must_be(
    tmp_path: Path, declaration: str, why: str
) -> None:
    with pytest.raises(ValueError) as refused:
        declared(page_in(tmp_path, "tokens.py", declaration))
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


class TestPagesOfTheUser:
    def test_take_their_place_among_the_built_in(self, tmp_path: Path) -> None:
        page_in(tmp_path, "tokens.py", 'PAGE = Page(title="Tokens", order=15)')
        page_in(tmp_path, "plain.py", "")
        pages, problems = page_files(tmp_path)
        titles = [each.page.title for each in pages]
        assert titles[:3] == ["Live", "Tokens", "Previews"]
        assert titles[-1] == "Plain"
        assert problems == ()

    def test_that_do_not_exist_are_a_problem_and_the_others_stay(self, tmp_path: Path) -> None:
        pages, problems = page_files(tmp_path / "nowhere")
        assert pages == page_files()[0]
        assert problems == (
            f"pages_dir = {tmp_path / 'nowhere'}: No such file or directory. Name the directory "
            "that holds your pages.",
        )

    def test_in_a_file_are_a_problem(self, tmp_path: Path) -> None:
        path = page_in(tmp_path, "tokens.py", "")
        _, (problem,) = page_files(path)
        assert "Not a directory" in problem

    @pytest.mark.parametrize(
        ("name", "text", "why"),
        [
            ("notes.txt", "", "is no Python file"),
            ("live.py", "", "the app has /live already; rename the file"),
            ("health.py", "", "the app has /health already; rename the file"),
            ("my page.py", "", "name it with letters, digits and _ alone"),
            ("broken.py", "def (", "is no Python"),
            ("odd.py", "PAGE = 3", "PAGE must be written as Page(title="),
            ("nul.py", "\0", "is no Python"),
        ],
    )
    def test_are_left_out_with_a_reason_and_the_others_stay(
        self, tmp_path: Path, name: str, text: str, why: str
    ) -> None:
        page_in(tmp_path, "tokens.py", 'PAGE = Page(title="Tokens", order=15)')
        (tmp_path / name).write_text(text)
        pages, (problem,) = page_files(tmp_path)
        assert len(pages) == len(page_files()[0]) + 1
        assert problem.startswith(f"{tmp_path / name} is left out: ")
        assert why in problem

    @pytest.mark.parametrize("content", ["[" * 5_000 + "]" * 5_000, "x = " + "-" * 200_000 + "1"])
    def test_that_nest_too_deeply_are_left_out(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "deep.py").write_text(content)
        pages, (problem,) = page_files(tmp_path)
        assert "deep" not in {each.path.stem for each in pages} and "deep.py" in problem

    def test_that_are_pipes_are_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.py")
        _, (problem,) = page_files(tmp_path)
        assert "pipe.py" in problem and "regular" in problem

    def test_may_have_files_beside_them_that_begin_with_an_underscore(self, tmp_path: Path) -> None:
        (tmp_path / "_data.csv").touch()
        (tmp_path / "__pycache__").mkdir()
        (tmp_path / ".git").mkdir()
        assert page_files(tmp_path) == page_files()


def test_the_addresses_of_the_api_are_no_pages() -> None:
    assert {path.split("/")[1] for path in PATHS} <= RESERVED
