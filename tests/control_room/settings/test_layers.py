"""Settings in layers: the run's, of which some are taken, below the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from control_room.settings.layers import (
    RUN_MAY_SET,
    anchored,
    from_run,
    merged,
    run_may_set,
    with_run,
)


class Colours(BaseModel):
    model_config = ConfigDict(extra="forbid")
    low: int = 1
    high: int = 9

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self


class Place(BaseModel):
    file: Path
    also: tuple[Path, ...] = ()


class Some(BaseModel):
    shown: Annotated[int, Field(ge=0), RUN_MAY_SET] = 5
    acts: str = ""


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")
    colours: Annotated[Colours, RUN_MAY_SET] = Colours()
    some: Some = Some()
    places: Annotated[tuple[Place, ...], RUN_MAY_SET] = ()
    key: Path | None = None


def test_a_setting_says_itself_whether_a_run_may_set_it() -> None:
    assert dict(run_may_set(Model)) == {
        "colours.low": True,
        "colours.high": True,
        "some.shown": True,
        "some.acts": False,
        "places": True,
        "key": False,
    }


def test_of_a_runs_file_only_that_is_taken() -> None:
    told = {"colours": {"low": 2}, "some": {"shown": 1, "acts": "x", "what": 1}, "key": "k", "x": 1}
    found = from_run(Model, told)
    assert found.allowed == {"colours": {"low": 2}, "some": {"shown": 1}}
    assert (found.acting, found.unknown) == (("some.acts", "key"), ("some.what", "x"))
    assert from_run(Model, {"some": 3}).acting == ("some",)


def build(layers: object) -> Model:
    return Model.model_validate(layers)


def test_what_is_wrong_of_the_runs_is_left_out_and_the_rest_is_used() -> None:
    of_run = {
        "colours": {"low": 2, "huh": 1},
        "some": {"shown": -1},
        "places": [{"file": "a"}, {"fil": "b"}, {"file": "c"}, 3],
    }
    model, left_out = with_run(build, of_run, {})
    assert (model.colours.low, model.some.shown) == (2, 5)
    assert {name for name, _ in left_out} >= {"colours.huh", "some.shown"}
    assert dict(left_out)["colours.huh"] == "no such setting"


def test_entries_of_a_list_of_tables_are_left_out_one_by_one() -> None:
    of_run = {"places": [{"file": "a"}, {"fil": "b"}, {"file": "c"}]}
    model, left_out = with_run(build, of_run, {})
    assert [place.file.name for place in model.places] == ["a", "c"]
    assert [name for name, _ in left_out] == ["places.1"]


def test_what_contradicts_the_users_own_is_left_out() -> None:
    model, left_out = with_run(build, {"colours": {"low": 5}}, {"colours": {"high": 3}})
    assert (model.colours.low, model.colours.high) == (1, 3)
    assert left_out == [("colours", "low must be below high")]


def test_what_is_wrong_of_the_users_own_is_no_matter_of_the_runs() -> None:
    with pytest.raises(ValidationError):
        with_run(build, {"colours": {"low": 2}}, {"some": {"shown": "x"}})


def test_later_layers_win_table_by_table() -> None:
    assert merged({"a": {"b": 1, "c": 1}, "d": [1]}, {"a": {"b": 2}}, {"d": [2]}) == {
        "a": {"b": 2, "c": 1},
        "d": [2],
    }


def test_paths_are_taken_from_their_files_directory(tmp_path: Path) -> None:
    told = {"key": "k", "places": [{"file": "~/f"}, {"file": "/x"}, 3], "what": "k"}
    assert anchored(Model, told, tmp_path) == {
        "key": str(tmp_path / "k"),
        "places": [{"file": str(Path.home() / "f")}, {"file": "/x"}, 3],
        "what": "k",
    }
