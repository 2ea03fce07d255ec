"""Every kind of value that a question may bring comes whole, and as it does without a process."""

from __future__ import annotations

import string
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control_room import Recorder, RunDir
from control_room.history.index import HistoryIndex
from control_room.history.sql.processes import SqlLimits, SqlProcesses

ROWS = 40
# Of what cannot be told otherwise, the text that DuckDB writes.
AS_TEXT = {
    "'infinity'::DATE": "infinity",
    "'-infinity'::DATE": "-infinity",
    "'infinity'::TIMESTAMP": "infinity",
    "'-infinity'::TIMESTAMP": "-infinity",
    "'infinity'::TIMESTAMPTZ": "infinity",
    "'290000-01-01'::TIMESTAMP": "290000-01-01 00:00:00",
    "'290000-01-01'::DATE": "290000-01-01",
    "'0044-03-15 (BC)'::DATE": "0044-03-15 (BC)",
    "INTERVAL 1 MONTH": "1 month",
    "INTERVAL '300000 years'": "300000 years",
    "170141183460469231731687303715884105727::HUGEINT": "170141183460469231731687303715884105727",
    "340282366920938463463374607431768211455::UHUGEINT": "340282366920938463463374607431768211455",
    "'\\xAA\\xFF'::BLOB": "\\xAA\\xFF",
    "'10101'::BIT": "10101",
    "'24:00:00'::TIME": "24:00:00",
    "'12:00:00+02'::TIMETZ": "12:00:00+02",
    "union_value(k := 1)": "1",
    "['infinity'::DATE, NULL]": "[infinity, NULL]",
    "{'d': 'infinity'::TIMESTAMP}": "{'d': infinity}",
    "MAP {1: [{'x': DATE 'infinity'}]}": "{1=[{'x': infinity}]}",
    "12345678901234567890123456789::BIGNUM": "12345678901234567890123456789",
    "1::VARIANT": "1",
    "[INTERVAL 1 DAY]": "[1 day]",
}
AS_THEY_ARE = (
    "1",
    "1.5::FLOAT",
    "'NaN'::DOUBLE IS NULL",
    "'inf'::DOUBLE",
    "1::HUGEINT",
    "18446744073709551615::UBIGINT",
    "123.456::DECIMAL(38, 10)",
    "'9999-12-31'::DATE",
    "'9999-12-31 23:59:59.999999'::TIMESTAMP",
    "'2024-01-01 00:00:00+02'::TIMESTAMPTZ",
    "'2024-01-01'::TIMESTAMP_NS",
    "'2024-01-01'::TIMESTAMP_S",
    "'12:00:00'::TIME",
    "'a'::ENUM('a', 'INTERVAL')",
    "[1, 2, NULL]",
    "[[1], [2, 3]]",
    "[1, 2]::INT[2]",
    "{'a': 1, 'interval': [1]}",
    "MAP {'a': 1}",
    "NULL",
    "true",
    "''",
    "chr(0) || 'x'",
    "'ünï 🙂 ' || chr(8238)",
    "'00000000-0000-0000-0000-000000000001'::UUID",
    "'{\"a\": 1}'::JSON",
    "1 AS a, 2 AS a, 3 AS A",
    "1 WHERE false",
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HistoryIndex]:
    run = RunDir(tmp_path_factory.mktemp("values") / "run")
    with Recorder(run) as recorder:
        for step in range(ROWS):
            recorder.log_preview(
                step=step,
                prompt=f"p {step}",
                golden="g",
                model_answer="a" * step,
                exact_match=None if step % 3 == 0 else step % 2 == 0,
                regime=f"regime{step % 4}",
                ce=step / 7,
                contract_status={"brief": step % 2 == 0},
                token_log_probs=[-1.0, -step / 3],
            )
    with HistoryIndex(run, database=run.cache / "history.duckdb") as opened:
        opened.refresh()
        yield opened


@pytest.fixture(scope="module")
def processes() -> Iterator[SqlProcesses]:
    started = SqlProcesses(SqlLimits(timeout_s=60.0))
    yield started
    started.close()


@pytest.mark.parametrize(("value", "text"), AS_TEXT.items())
def test_what_has_no_form_elsewhere_is_text(
    index: HistoryIndex, processes: SqlProcesses, value: str, text: str
) -> None:
    table = index.ask(f"SELECT {value} AS x, 1 AS one", processes).table
    assert table.to_pylist() == [{"x": text, "one": 1}]
    assert table.to_pandas()["x"].tolist() == [text]


@pytest.mark.parametrize("value", AS_THEY_ARE)
def test_all_else_comes_as_duckdb_gives_it(
    index: HistoryIndex, processes: SqlProcesses, value: str
) -> None:
    table = index.ask(f"SELECT {value}", processes).table
    assert table.equals(index.cursor().sql(f"SELECT {value}").limit(9).to_arrow_table())
    table.to_pandas()


COLUMNS = st.sampled_from(
    ["step", "ts", "regime", "ce", "exact_match", "prompt", "model_answer", "contract_status",
     "token_log_probs", "seq", "file", "line", "*"]
)  # fmt: skip
CONDITIONS = st.one_of(
    st.builds("step > {}".format, st.integers(-5, ROWS)),
    st.builds("ce < {}".format, st.floats(0, 10, allow_nan=False)),
    st.builds("regime = 'regime{}'".format, st.integers(0, 5)),
    st.builds("contains(prompt, '{}')".format, st.text(string.ascii_letters + string.digits + " ")),
    st.sampled_from(["exact_match", "exact_match IS NULL", "true"]),
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(COLUMNS, min_size=1, max_size=4), CONDITIONS, st.integers(0, 60))
def test_a_process_answers_as_the_database_itself(
    index: HistoryIndex,
    processes: SqlProcesses,
    columns: list[str],
    condition: str,
    limit: int,
) -> None:
    text = f"SELECT {', '.join(columns)} FROM previews WHERE {condition} ORDER BY seq LIMIT {limit}"
    direct = index.cursor().sql(text).limit(ROWS).to_arrow_table()
    assert index.ask(text, processes).table.equals(direct)
    text = f"SELECT regime, count(*), avg(ce), max(ts) FROM ({text.replace('*', 'regime')}) GROUP"
    if {"regime", "*"} & set(columns) and {"ce", "ts"} <= set(columns):
        direct = index.cursor().sql(f"{text} BY 1 ORDER BY 1").limit(ROWS).to_arrow_table()
        assert index.ask(f"{text} BY 1 ORDER BY 1", processes).table.equals(direct)


def test_zones_of_times_are_the_apps(index: HistoryIndex, processes: SqlProcesses) -> None:
    text = "SELECT current_setting('TimeZone') AS zone"
    direct = index.cursor().sql(text).limit(ROWS).to_arrow_table()
    assert index.ask(text, processes).table.equals(direct)


def test_a_file_of_the_answer_holds_every_kind_of_value(
    index: HistoryIndex, processes: SqlProcesses
) -> None:
    values = [*AS_TEXT, *AS_THEY_ARE[:-2]]
    columns = ", ".join(f"{value} AS c{place}" for place, value in enumerate(values))
    table = index.ask(f"SELECT {columns}", processes).table
    assert len([column.to_pylist() for column in table.columns]) == len(values)
