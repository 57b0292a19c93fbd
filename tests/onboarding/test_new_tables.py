"""`closedloop new` on tables: what is found and told, what is written, and what the stages make of it."""

import gzip
import json
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from own_data import User, Written

from closedloop.composition import compose
from closedloop.data.examples import read_examples
from closedloop.errors import ConfigError, DataError
from closedloop.paths import SPLITS, Paths

ROWS = 240


def people(**changes: Any) -> pd.DataFrame:
    """Rows of which age and city say something about income."""
    rng = np.random.default_rng(0)
    age, city = rng.integers(18, 80, ROWS), rng.choice(["Köln", "Málaga", "Paris"], ROWS)
    noise = rng.normal(0, 12, ROWS)
    frame = pd.DataFrame(
        {
            "person": [f"P{row:04d}" for row in range(ROWS)],
            "age": age,
            "city": city,
            "spent": np.round(rng.gamma(2, 100, ROWS), 2),
            "income": np.where(age + noise + 10 * (city == "Paris") > 52, "high", "low"),
        }
    )
    return frame.assign(**changes)


def csv(frame: pd.DataFrame, **how: Any) -> bytes:
    encoding = how.pop("encoding", "utf-8")
    text: str = frame.to_csv(index=False, **how)
    return text.encode(encoding)


def test_a_csv_becomes_a_task_that_the_stages_take(user: User, written: Written) -> None:
    told = user.new(written("data.csv", csv(people())), "income")
    assert "high" in told and "next: make run TASK=mine" in told
    assert user.params.task.kind == "tables" and sorted(user.params.task.classes) == ["high", "low"]
    found = user.format
    assert (found["id"], found["numbers"], found["categories"]) == ("person", ["age", "spent"], ["city"])
    report = user.prepare()
    assert sum(split["examples"] for split in report["splits"].values()) == ROWS
    assert all(report["splits"][split]["examples"] >= 15 for split in SPLITS)


def test_the_task_is_one_file_and_its_source_is_all_that_is_left_of_sources(user: User, written: Written) -> None:
    before = set(user.conf.rglob("*"))
    told = user.new(written("data.csv", csv(people())), "income")
    assert set(user.conf.rglob("*")) - before == {user.file} and f"wrote {user.file};" in told
    assert compose("mine", (), user.conf)["source"] == user.source


LAYOUTS = {
    "semicolons and a decimal comma": lambda: csv(people(), sep=";", decimal=","),
    "tabs": lambda: csv(people(), sep="\t"),
    "bars": lambda: csv(people(), sep="|"),
    "byte order mark": lambda: csv(people(), encoding="utf-8-sig"),
    "UTF-16": lambda: csv(people(), encoding="utf-16"),
    "UTF-16 without a mark": lambda: csv(people(), encoding="utf-16-le", sep=";"),
    "CP1252": lambda: csv(people(), encoding="cp1252"),
    "Windows line ends": lambda: csv(people(), lineterminator="\r\n"),
    "row numbers of pandas": lambda: people().to_csv().encode(),
    "a delimiter at the end of each line": lambda: b"".join(line + b",\n" for line in csv(people()).splitlines()),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_however_it_is_written_it_is_the_same_table(user: User, written: Written, name: str) -> None:
    user.new(written("data.csv", LAYOUTS[name]()), "income")
    assert (user.format["numbers"], user.format["categories"]) == (["age", "spent"], ["city"])
    user.prepare()
    tables = [read_examples(Paths("mine", user.root).examples(split)).to_pandas() for split in SPLITS]
    found = pd.concat(tables).sort_values("id", ignore_index=True)
    expected = people()
    np.testing.assert_array_equal(found["spent"], expected["spent"])
    assert found["city"].tolist() == expected["city"].tolist()
    assert found["label"].tolist() == expected["income"].tolist()


def test_parquet_json_lines_gzip_and_zip_are_taken(user: User, written: Written, tmp_path: Path) -> None:
    lines = "\n".join(json.dumps(row) for row in people().to_dict("records"))
    files = [written("a.jsonl", lines), written("b.csv.gz", gzip.compress(csv(people()))), tmp_path / "c.parquet"]
    files.append(tmp_path / "d.zip")
    with zipfile.ZipFile(files[3], "w") as packed:
        packed.writestr("d/d.csv", csv(people()))
        packed.writestr("d/about.txt", "x")
    people(seen=pd.date_range("2020-01-01", periods=ROWS, tz="Europe/Berlin")).to_parquet(files[2])
    for path in files:
        user.new(path, "income")
        assert (user.format["numbers"], user.format["categories"]) == (["age", "spent"], ["city"])
        assert user.prepare()["splits"]["train"]["examples"] > 80
        user.file.unlink()


def test_quoted_line_ends_and_quotation_marks_that_are_none(user: User, written: Written) -> None:
    quoted = people(city=[("Bad\nHomburg", "Essen, Ruhr", 'the "Pott"')[row % 3] for row in range(ROWS)])
    user.new(written("data.csv", csv(quoted)), "income")
    user.prepare()
    cities = read_examples(Paths("mine", user.root).examples("train")).column("city").unique().to_pylist()
    assert sorted(cities) == ["Bad\nHomburg", "Essen, Ruhr", 'the "Pott"']


def test_what_is_no_content_is_left_out_and_told(user: User, written: Written) -> None:
    frame = people()
    told = user.new(
        written(
            "data.csv",
            csv(
                frame.assign(
                    source="web",
                    empty=None,
                    code=np.where(frame["income"] == "high", "H1", "L7"),
                    nearly=np.where((frame["income"] == "high") & (frame.index > 5), "H1", "x"),
                    born=[f"19{50 + row % 50}-0{1 + row % 9}-11" for row in range(ROWS)],
                    remark=[f"called on a day in month {row} about the matter" for row in range(ROWS)],
                    acid=np.arange(ROWS) % 23,
                    price=[f"{row % 90 + 1},{row % 900 + 100} EUR" for row in range(ROWS)],
                )
            ),
        ),
        "income",
    )
    assert user.format["ignored"] == ["source", "empty", "code", "born", "remark", "price"]
    look = told.partition("Please look at this")[2]
    assert "code: it alone tells the target in 100.0% of the rows: a leak" in " ".join(look.split())
    assert "nearly: it alone tells the target in 99." in look
    assert "acid" in user.format["numbers"]
    assert "constant" in told and "all values are missing" in told and "numbers in another notation" in told
    assert "TEXT=remark makes a task of it" in " ".join(look.split())


def test_strange_values_among_numbers_and_missing_targets_are_counted(user: User, written: Written) -> None:
    frame = people().astype({"age": object})
    frame.loc[[3, 9], "age"] = "n.d."
    frame.loc[[4], "spent"] = None
    frame.loc[[5, 6, 7], "income"] = None
    frame.loc[[8, 9], "income"] = "LOW"
    told = " ".join(user.new(written("data.csv", csv(frame)), "income").split())
    assert "age: 2 of 240 values are no numbers, first row 4 'n.d.'" in told
    assert "left out 5 examples of no class: (missing) 3, LOW 2" in told
    assert "classes: 'low' and 'LOW' are told apart" in told
    assert user.format["layout"]["missing"] == ["", "n.d."]
    assert user.prepare()["unknown_label"] == 5


def test_copies_and_missing_values_beyond_the_usual_raise_the_limit_and_are_told_in_the_file(
    user: User, written: Written
) -> None:
    frame = people(gap=[None if row % 5 else float(row) for row in range(ROWS)])
    frame.loc[:5, ["age", "city", "spent", "gap"]] = None
    frame = pd.concat([frame, frame.iloc[:40].assign(person=[f"Q{row}" for row in range(40)])])
    user.new(written("data.csv", csv(frame)), "income")
    validation = user.params.validation
    assert validation.max_duplicate_share > 0.14 and validation.max_missing_share > 0.8
    assert validation.max_blank_share > 0.04
    assert "% of the examples repeat another one" in user.file.read_text()


def test_a_group_is_known_by_its_name_and_a_clashing_name_is_changed(user: User, written: Written) -> None:
    frame = people(
        **{
            "customer_id": [f"c{row % 40}" for row in range(ROWS)],
            "label": np.arange(ROWS) % 7,
        }
    )
    told = user.new(written("data.csv", csv(frame)), "income")
    assert user.format["group"] == "customer_id"
    assert user.format["rename"] == {"label": "label_"}
    assert "customer_id: a group by its name" in told
    user.prepare()
    groups = [
        set(read_examples(Paths("mine", user.root).examples(split)).column("group").to_pylist()) for split in SPLITS
    ]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 40


def test_copies_tie_groups_together(user: User, written: Written) -> None:
    frame = people(customer_id=[f"c{row % 60}" for row in range(ROWS)])
    columns = ["age", "city", "spent", "income"]
    for row in range(0, 30, 2):  # customers 0 and 1, 2 and 3, … share a row
        frame.loc[row + 1, columns] = frame.loc[row, columns].to_numpy()
    user.new(written("data.csv", csv(frame)), "income")
    user.prepare()
    split_of: dict[str, set[str]] = {}
    for split in SPLITS:
        for group in read_examples(Paths("mine", user.root).examples(split)).column("group").to_pylist():
            split_of.setdefault(group, set()).add(split)
    assert all(len(found) == 1 for found in split_of.values())
    assert all(split_of[f"c{row}"] == split_of[f"c{row + 1}"] for row in range(0, 30, 2))


def test_a_group_that_goes_through_all_of_the_time_is_left_out_and_told(user: User, written: Written) -> None:
    dates = pd.date_range("2020-01-01", periods=ROWS).strftime("%Y-%m-%d")
    frame = people(
        customer_id=[f"c{row % 12}" for row in range(ROWS)], date=dates, zip=[f"0{row % 9}1" for row in range(ROWS)]
    )
    told = " ".join(user.new(written("data.csv", csv(frame)), "income").split())
    assert "customer_id: a group by its name, but it leaves a split with hardly a row" in told
    assert user.format["time"] == "date" and "group" not in user.format
    assert user.format["categories"] == ["city", "zip"]
    assert user.prepare()["dropped"] == 0


@pytest.mark.parametrize(
    ("days", "pattern", "ambiguous"),
    [("%Y-%m-%d", "iso", False), ("%d.%m.%Y", "%d.%m.%Y", False), ("%m/%d/%Y", "%m/%d/%Y", False)],
)
def test_a_column_of_times_orders_the_splits(
    user: User, written: Written, days: str, pattern: str, ambiguous: bool
) -> None:
    dates = pd.date_range("2020-01-01", periods=ROWS // 2).repeat(2)
    shuffled = people(date=dates.strftime(days)).sample(frac=1, random_state=0)
    told = user.new(written("data.csv", csv(shuffled)), "income")
    assert (user.format["time"], user.format["time_format"]) == ("date", pattern)
    assert ("other way round" in told) == ambiguous
    user.prepare()
    spans = []
    for split in SPLITS:
        times = read_examples(Paths("mine", user.root).examples(split)).column("time of the example").to_numpy()
        spans.append((times.min(), times.max()))
    assert all(before[1] < after[0] for before, after in pairwise(spans))


def test_columns_are_named_by_the_user_where_no_header_does(user: User, written: Written) -> None:
    path = written("data.txt", csv(people(), header=False))
    user.new(path, "income", columns=("who", "age", "city", "spent", "income"))
    assert user.format["id"] == "who"
    assert sum(split["examples"] for split in user.prepare()["splits"].values()) == ROWS


def test_a_table_with_one_column_of_text_is_a_task_of_texts(user: User, written: Written) -> None:
    words = [f'  She said "{row}" and went home; then it began to rain' for row in range(ROWS)]
    frame = people()[["person", "income"]].assign(review=words)
    user.new(written("data.tsv", csv(frame, sep="\t")), "income")
    assert user.params.task.kind == "texts" and user.format["text"] == "review"
    user.prepare()
    assert set(words) >= set(read_examples(Paths("mine", user.root).examples("train")).column("text").to_pylist())


def test_of_several_columns_the_text_is_chosen_by_the_user(user: User, written: Written) -> None:
    user.new(written("data.csv", csv(people())), "income", text="person")
    assert user.params.task.kind == "texts" and user.format["text"] == "person"


HEAD = "a,b,income\n"
BOTH = "".join(f"{row},{row % 3},{('x', 'y')[row % 2]}\n" for row in range(120))


@pytest.mark.parametrize(
    ("content", "target", "message"),
    [
        ("", "income", "is empty"),
        (HEAD, "income", "holds no rows"),
        (HEAD + BOTH, "", "which column is to be predicted.* one of 'a', 'b', 'income'"),
        (HEAD + BOTH, "Incom", r"has no column 'Incom' \(did you mean 'income'\?\)"),
        (HEAD + "1,2,x\n" * 120, "income", "one class only, 'x' \\(120 times\\)"),
        ("a,b,income\n" + "".join(f"{r},1,n{r}\n" for r in range(99)), "income", "99 different values.*no classes"),
        (HEAD + BOTH + "1,2\n3\n", "income", r"2 of 122 rows do not have 3 columns, first row 121 with 2"),
        ("sep=;\n" + (HEAD + BOTH).replace(",", ";"), "income", "Is its first line, 'sep=,column 2', the header"),
        (
            "a,b,income\n" + "".join(f"{r},{r if r % 5 else 'many'},{('x', 'y')[r % 2]}\n" for r in range(120)),
            "income",
            r"no column to learn from(?s:.*)b: mixed: 24 of 120 values are no numbers, first row 1 'many'",
        ),
        ("a,a,income\n" + BOTH, "income", "columns of the same name: 'a'"),
        (HEAD + BOTH[: BOTH.index("30,")], "income", "examples: 30 in all; allowed: at least 100"),
        (HEAD + "1,2,x\n1,2,y\n" * 60, "income", "no column to learn from"),
        ("income", "income", "kept/data.csv holds no rows"),
        (b"a,b\0c,income\n" * 9, "income", "is no text: it holds zero bytes"),
    ],
)
def test_what_cannot_be_learnt_is_refused_and_nothing_is_written(
    user: User, written: Written, content: str | bytes, target: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        user.new(written("data.csv", content), target)
    assert not user.file.exists()


def test_a_json_array_and_unknown_data_are_told_what_is_taken(user: User, written: Written) -> None:
    with pytest.raises(DataError, match="is one JSON array; JSON lines are read"):
        user.new(written("data.json", '\n[{"a": 1}]'), "a")
    with pytest.raises(DataError, match=r"(?s)in no form that can be looked at.*a folder.*a table"):
        user.new(written("data.xlsx", b"PK"), "a")
    with pytest.raises(DataError, match="no sound gzip file"):
        user.new(written("data.csv.gz", b"PK"), "a")


def test_nothing_is_overwritten_and_names_are_checked(user: User, written: Written) -> None:
    path = written("data.csv", csv(people()))
    user.file.write_text("precious")
    with pytest.raises(ConfigError, match=r"task/mine.yaml exists already and is not overwritten"):
        user.new(path, "income")
    assert user.file.read_text() == "precious"
    with pytest.raises(ConfigError, match="does not exist"):
        user.file.unlink()
        user.new(path.parent / "absent.csv", "income")


def test_data_that_have_changed_since_are_not_learnt_from_unnoticed(user: User, written: Written) -> None:
    path = written("data.csv", csv(people()))
    assert "lies in a temporary folder" in user.new(path, "income")
    path.write_bytes(csv(people()) + b"P9,1,Paris,1,low\n")
    with pytest.raises(Exception, match=r"is not what was expected: its content has sha256 .* correct the sha256"):
        user.prepare()


def test_strange_names_and_classes_survive_the_configuration(user: User, written: Written) -> None:
    strange = people().rename(columns={"age": "age: ${years} #1", "city": "it's, 'a' \"city\""})
    strange["income"] = strange["income"].map({"high": "yes", "low": "no"})
    user.new(written("my data (1).csv", csv(strange)), "income")
    assert user.params.task.classes == ["no", "yes"]
    user.prepare()
    names = read_examples(Paths("mine", user.root).examples("train")).column_names
    assert {"age: ${years} #1", "it's, 'a' \"city\""} <= set(names)
