"""Raw tables: roles of columns, types that are inferred, checks, the baseline."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tables import rows

from closedloop.composition import compose
from closedloop.config import Params, parse
from closedloop.data.examples import labels
from closedloop.errors import ConfigError, DataError
from closedloop.tasks.tables.task import TASK

CONF = Path(__file__).parents[2] / "conf"
CSV = "name,age,code,city,spent,paid\n" + "".join(
    f"n{row},{20 + row},0{row % 7},{'ab'[row % 2]},{row / 4 if row % 3 else '?'},{'yes' if row % 2 else 'no'}\n"
    for row in range(30)
)
FORMAT: dict[str, Any] = {
    "name": "table",
    "parts": [{"split": "all", "file": "adult.data"}],
    "layout": {"name": "delimited", "missing": ["", "?"]},
    "target": "paid",
    "id": "name",
}


def configured(**changes: Any) -> Params:
    content = compose("adult", conf=CONF)
    content["source"]["format"] = {**FORMAT, **changes}
    content["task"]["classes"] = ["no", "yes"]
    return parse(content, "conf")


def read(folder: Path, content: str = CSV, **changes: Any) -> Any:
    (folder / "adult.data").write_text(content)
    return TASK.read(folder, configured(**changes))


def test_types_are_inferred_once_for_all_rows(tmp_path: Path) -> None:
    table = read(tmp_path)
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds == {
        **dict.fromkeys(("id", "part", "label", "code", "city"), "string"),
        **dict.fromkeys(("age", "spent"), "double"),
    }
    assert table.column("id").to_pylist()[:2] == ["n0", "n1"]
    assert table.column("spent").to_pylist()[:3] == [None, 0.25, 0.5]
    assert table.column("code").to_pylist()[0] == "00"  # a code, as numbers do not begin with a zero
    assert TASK.look(table, 0) == "age: 20\nspent: (missing)\ncode: 00\ncity: a"


def test_what_is_configured_counts(tmp_path: Path) -> None:
    table = read(tmp_path, numbers=["age"], categories=["city"], ignored=["code", "spent"])
    assert table.column_names == ["id", "part", "age", "city", "label"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "payd"}, r"has no column 'payd' \(did you mean 'paid'\?\), which source.format.target names"),
        ({"numbers": ["age"]}, "columns without a role: 'code', 'city', 'spent'; name each in"),
        ({"layout": {"name": "delimited", "delimiter": ";"}}, "has no column 'paid'"),
        (
            {"numbers": ["age", "spent", "city"], "categories": ["code"]},
            "column city: 30 of 30 values are no finite numbers, first row 1 'a'",
        ),
        ({"ignored": ["age", "code", "city", "spent"]}, "no column to learn from"),
    ],
)
def test_a_wrong_configuration_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, **changes)


def test_a_column_has_one_role() -> None:
    with pytest.raises(ConfigError, match="age stands in more than one place"):
        configured(numbers=["age"], ignored=["age"])


def test_some_texts_among_numbers_are_a_mistake_and_not_a_category(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"column age: 1 of 30 values are no finite numbers, first row 5 'many'; name age"
    ):
        read(tmp_path, CSV.replace("n4,24,", "n4,many,"))


def test_a_missing_target_is_left_to_validation(tmp_path: Path) -> None:
    table = read(tmp_path, CSV.replace("no\n", "?\n", 1))
    assert table.column("label").to_pylist().count("(missing)") == 1


def test_a_name_cannot_mean_two_things(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be called label"):
        read(tmp_path, CSV.replace("city", "label"))


def findings(table: Any) -> dict[str, Any]:
    return {finding.check: finding for finding in TASK.examine(table, configured())}


def test_sound_rows_pass_every_check() -> None:
    assert all(finding.passed for finding in findings(rows(2000)).values())


def test_blank_rows_hollow_and_constant_columns_and_names_are_found() -> None:
    table = rows(2000)
    names = [f"n{row}" for row in range(2000)]
    assert not findings(table.set_column(5, "sex", [names]))["distinct categories"].passed
    assert not findings(table.set_column(5, "sex", [["M"] * 2000]))["constant columns"].passed
    assert not findings(table.set_column(5, "sex", [["M", "F", None, None] * 500]))["missing values"].passed
    blank = dict.fromkeys(("age", "gain", "work", "sex"))
    content = [{**row, **blank} if row["id"] < "all-000005" else row for row in table.to_pylist()]
    found = findings(table.from_pylist(content, schema=table.schema))["blank rows"]
    assert not found.passed and found.examples[0] == "all-000000"


def test_gradient_boosting_learns_what_there_is() -> None:
    table, params = rows(1500), configured()
    found = TASK.baseline(table.slice(0, 1000), table.slice(1000), params)
    assert found.name == "gradient boosting"
    np.testing.assert_allclose(found.rows.sum(axis=1), 1)
    said = np.array(params.task.classes)[found.rows.argmax(axis=1)]
    assert (said == np.array(labels(table.slice(1000)))).mean() > 0.9


def test_a_group_is_kept_beside_the_row_and_is_no_part_of_it(tmp_path: Path) -> None:
    table = read(tmp_path, group="city")
    assert table.column("group").to_pylist()[:3] == ["a", "b", "a"]
    assert "city" not in table.column_names and "group" not in TASK.describe(table)
    other = table.set_column(table.schema.get_field_index("group"), "group", [["x"] * 30])
    np.testing.assert_array_equal(TASK.fingerprints(other), TASK.fingerprints(table))
