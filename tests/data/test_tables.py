"""Files that hold a table: what is read, and what is said about those that cannot be."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.data.schema import Delimited, JsonLines, Parquet
from closedloop.data.tables import parse_numbers, read_table
from closedloop.errors import DataError

CSV = Delimited(name="delimited", missing=["", "?"])
TSV = Delimited(name="delimited", delimiter="\t")


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "table.data"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "layout"),
    [
        ("a, b\n1, x\n?, \n\n3, ?\n", CSV),
        ("\ufeffa,b\n1,x\n?,\n3,?\n", CSV),
        ("1,x\r\n?,\r\n3,?\r\n", CSV.model_copy(update={"columns": ["a", "b"]})),
        ("a\tb\n1\tx\n\t\n3\t\n", TSV),
        ("a;b\n1;x\n;\n3;\n", Delimited(name="delimited", delimiter=";")),
    ],
    ids=["spaces", "byte order mark", "no header", "tabs", "semicolons"],
)
def test_delimited_text_is_read_with_its_gaps(tmp_path: Path, content: str, layout: Delimited) -> None:
    table = read_table(written(tmp_path, content), layout)
    assert table.to_pydict() == {"a": ["1", None, "3"], "b": ["x", None, None]}


def test_quotes_hold_delimiters_and_line_ends(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, 'a,b\n"1,5","two\nlines"\n'), CSV)
    assert table.to_pydict() == {"a": ["1,5"], "b": ["two\nlines"]}


def test_a_quoted_name_may_hold_a_line_end(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, 'a,"b\n(cm)"\n1,2\n3,4\n'), CSV)
    assert table.to_pydict() == {"a": ["1", "3"], "b\n(cm)": ["2", "4"]}


def test_without_quotes_a_quote_is_a_character(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, 'a\tb\n1\t"hello\n'), TSV.model_copy(update={"quote": ""}))
    assert table.to_pydict() == {"a": ["1"], "b": ['"hello']}


def test_other_encodings_are_read_when_they_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n1,é\n".encode("latin-1"))
    assert read_table(path, CSV.model_copy(update={"encoding": "latin-1"})).column("b").to_pylist() == ["é"]
    with pytest.raises(DataError, match=r"is not utf-8: line 2 .* set layout.encoding"):
        read_table(path, CSV)
    with pytest.raises(DataError, match="'klingon' is no encoding"):
        read_table(path, CSV.model_copy(update={"encoding": "klingon"}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "there must be a header"),
        ("a,b\n", "holds no rows"),
        ("a,b\n1,2\n3\n4,5,6\n", r"2 of 3 rows do not have 2 columns, first row 2 with 1; is ',' the delimiter"),
        ("a,a\n1,2\n", "columns of the same name: 'a'"),
    ],
)
def test_what_is_wrong_with_delimited_text_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(written(tmp_path, content), CSV)


def test_parquet_and_json_lines_keep_numbers(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"a": [1, None, 3], "b": ["x", "?", None], "c": [True, False, None]}), tmp_path / "t.parquet"
    )
    lines = [{"a": 1, "b": "x", "c": True}, {"b": "?", "c": False}, {"a": 3.0, "b": None}]
    file = written(tmp_path, "\ufeff" + "\n".join(map(json.dumps, lines)))
    for table in (
        read_table(tmp_path / "t.parquet", Parquet(name="parquet", missing=["?"])),
        read_table(file, JsonLines(name="json_lines", missing=["?"])),
    ):
        assert table.to_pydict() == {"a": [1.0, None, 3.0], "b": ["x", None, None], "c": ["true", "false", None]}
        assert table.schema.field("a").type == pa.float64()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}\nnonsense\n', "line 2 is not JSON"),
        ("[1]\n", "line 1 is no JSON object"),
        ('{"a": 1}\n{"a": "x"}\n', "field a holds a number in row 1, a text in row 2"),
        ('{"a": {"b": 1}}\n', "field a holds an object in row 1"),
    ],
)
def test_what_is_wrong_with_json_lines_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(written(tmp_path, content), JsonLines(name="json_lines"))


def test_files_of_another_kind_and_columns_of_other_types_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_table(written(tmp_path, "a,b\n"), Parquet(name="parquet"))
    pq.write_table(pa.table({"a": [[1]]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"column a is list<.*numbers, text, booleans, dates"):
        read_table(tmp_path / "t.parquet", Parquet(name="parquet"))
    with pytest.raises(DataError, match="is missing; run the acquire stage"):
        read_table(tmp_path / "absent", CSV)


@pytest.mark.parametrize("wrong", ["abc", "1,5", "inf", "1_000", "nan", "0x1"])
def test_numbers_that_are_none_are_named_with_their_rows(wrong: str) -> None:
    column = pa.chunked_array([["1", None, "-2.5e3", wrong]])
    with pytest.raises(DataError, match=r"here: 1 of 4 values are no finite numbers, first row 4 .*; do that"):
        parse_numbers(column, "here", "do that")


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), max_size=30))
def test_numbers_survive_as_text(values: list[float | None]) -> None:
    column = pa.chunked_array([pa.array([None if value is None else repr(value) for value in values], pa.string())])
    found = parse_numbers(column, "", "").to_pylist()
    np.testing.assert_array_equal(np.array(found, float), np.array(values, float))
