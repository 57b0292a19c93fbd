"""`closedloop new` on tables whose target is a number."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from own_data import User, Written
from sklearn.datasets import load_diabetes

from closedloop.data.examples import LABEL, read_examples
from closedloop.errors import DataError
from closedloop.paths import Paths
from closedloop.targets import load_target


def houses(rows: int = 400, **changes: Any) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    area, city = rng.lognormal(4.5, 0.4, rows).round(1), rng.choice(["Bonn", "Trier"], rows)
    price = (area * 2500 * (1 + 0.3 * (city == "Bonn")) * rng.lognormal(0, 0.15, rows)).round(2)
    return pd.DataFrame({"area": area, "city": city, "price": price}).assign(**changes)


def csv(frame: pd.DataFrame, **how: Any) -> bytes:
    text: str = frame.to_csv(index=False, **how)
    return text.encode()


def test_a_target_of_many_numbers_is_a_quantity(user: User, written: Written) -> None:
    told = user.new(written("data.csv", csv(houses())), "price")
    assert "number    from " in told and "classes" not in told
    params = user.params
    assert (params.task.target, params.task.classes, params.gate.target) == ("number", [], "number")
    report = user.prepare()
    assert sum(split["examples"] for split in report["splits"].values()) == 400
    ranges = report["splits"]["test"]["classes"]
    assert len(ranges) == 5 and max(ranges.values()) - min(ranges.values()) <= 2


def test_the_patients_become_a_task_like_the_one_that_ships(user: User, written: Written) -> None:
    frame = load_diabetes(as_frame=True, scaled=False).frame
    user.new(written("patients.parquet", frame.to_parquet(index=False)), "target")
    assert user.params.model.frequency_scale == 0.05  # type: ignore[union-attr]
    user.prepare()
    paths = Paths("mine", user.root)
    assert load_target(paths.preprocessor).to_json()["number"]["high"] <= 346
    labels = [float(label.as_py()) for label in read_examples(paths.examples("train")).column(LABEL)]
    assert set(labels) <= set(frame["target"])


def test_decimal_commas_and_gaps_in_the_target_are_read_and_told(user: User, written: Written) -> None:
    frame = houses()
    frame.loc[:11, "price"] = np.nan
    told = user.new(written("data.csv", csv(frame, sep=";", decimal=",")), "price")
    assert "decimal comma" in told and "12 examples without a number: (missing) 12" in told
    report = user.prepare()
    assert report["unknown_label"] == 12
    paths = Paths("mine", user.root)
    prices = {float(label.as_py()) for label in read_examples(paths.examples("test")).column(LABEL)}
    assert prices <= set(frame["price"].dropna())


def test_a_marker_of_missing_values_among_the_numbers_is_no_mistake(user: User, written: Written) -> None:
    frame = houses().astype({"price": object})
    frame.loc[::50, "price"] = "n/a"
    assert "8 examples without a number" in user.new(written("data.csv", csv(frame)), "price")


def test_texts_among_the_numbers_are_named_with_their_rows(user: User, written: Written) -> None:
    frame = houses().astype({"price": object})
    frame.loc[:79, "price"] = [f"about {row}" for row in range(80)]
    with pytest.raises(DataError, match="holds numbers, and 80 values that are none: row 1 'about 0'"):
        user.new(written("data.csv", csv(frame)), "price")


def test_few_different_numbers_are_classes(user: User, written: Written) -> None:
    frame = houses(stars=np.random.default_rng(0).integers(1, 6, 400))
    user.new(written("data.csv", csv(frame)), "stars")
    assert user.params.task.classes == ["1", "2", "3", "4", "5"]


def test_what_rises_and_falls_with_the_target_is_a_leak(user: User, written: Written) -> None:
    frame = houses()
    frame["in dollars"], frame["logarithm"] = (frame["price"] * 1.1).round(), np.log(frame["price"]).round(6)
    frame["bracket"] = (frame["price"] > 250_000).astype(float)  # says much, and not all
    told = user.new(written("data.csv", csv(frame)), "price")
    assert told.count("it rises and falls with the target") == 4  # in the table and below it
    assert set(user.params.source.format.numbers) == {"area", "bracket"}  # type: ignore[union-attr]


def test_texts_and_a_number_do_not_go_together(user: User, written: Written) -> None:
    words = np.random.default_rng(1).choice(["a", "fine", "large", "house", "near", "the", "river"], (400, 12))
    frame = pd.DataFrame({"text": [" ".join(row) for row in words], "price": houses()["price"]})
    with pytest.raises(DataError, match="of texts only classes are learnt"):
        user.new(written("data.csv", csv(frame)), "price")


def test_one_value_is_refused(user: User, written: Written) -> None:
    with pytest.raises(DataError, match="one class only"):
        user.new(written("data.csv", csv(houses(price=7.5))), "price")
    with pytest.raises(DataError, match="spread of the target"):
        frame = houses()
        frame.loc[3, "price"] = 1e12
        user.new(written("other.csv", csv(frame)), "price")
