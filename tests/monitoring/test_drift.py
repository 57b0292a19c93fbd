"""The verdict: who alarms, who does not, and that it can say neither."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.config import Monitor
from closedloop.errors import DataError
from closedloop.monitoring.drift import comparable, judge, kinds
from closedloop.monitoring.two_sample import p_value
from closedloop.tasks.images.shifts import CORRUPTIONS

CONFIG = Monitor()


def frame(
    rng: np.random.Generator, rows: int, shift: float = 0.0, columns: int = 4, errors: float = 0.02
) -> pd.DataFrame:
    """A profile whose first column is moved by `shift` standard deviations."""
    content: dict[str, Any] = {
        f"column_{number}": rng.normal(shift * (number == 0), 1, rows) for number in range(columns)
    }
    prediction = rng.choice(list("abc"), rows).astype(object)
    wrong = rng.random(rows) < errors
    label = np.where(wrong, "other", prediction).astype(object)
    return pd.DataFrame({"id": [str(row) for row in range(rows)], **content, "prediction": prediction, "label": label})


def verdict(reference: pd.DataFrame, window: pd.DataFrame, config: Monitor = CONFIG, **more: Any) -> dict[str, Any]:
    tests = {name: p_value(kind, reference[name], window[name]) for name, kind in comparable(reference, window).items()}
    return judge(reference, window, tests, more.get("estimate"), config)


@pytest.mark.parametrize("scenario", [*CORRUPTIONS, "imbalance"])
def test_every_scenario_is_found_on_the_digits(answered: Any, scenario: str) -> None:
    found = [verdict(answered.reference, answered.window(scenario, 3, seed))["verdict"] for seed in range(5)]
    assert found == ["drift"] * 5


def test_windows_of_the_digits_as_they_are_stay_clean(answered: Any) -> None:
    found = [verdict(answered.reference, answered.window("none", 3, seed))["verdict"] for seed in range(20)]
    assert found.count("drift") <= 2


def test_false_alarms_stay_at_the_configured_rate() -> None:
    rng, alarms, windows = np.random.default_rng(0), 0, 150
    config = Monitor(false_alarm_rate=0.1, min_effect_numeric=0, min_effect_categorical=0)
    for _ in range(windows):
        found = verdict(frame(rng, 150, columns=6), frame(rng, 120, columns=6), config)
        alarms += any(column["drifted"] for column in found["columns"])
    assert alarms / windows < 0.1 + 3 * np.sqrt(0.1 * 0.9 / windows)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(0, 1.5))
def test_a_window_against_itself_is_clean_whatever_its_order(seed: int, shift: float) -> None:
    window = frame(np.random.default_rng(seed), 120, shift)
    found = verdict(window, window.sample(frac=1, random_state=seed))
    assert (found["verdict"], found["reasons"]) == ("clean", [])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(0, 1), st.integers(0, 10_000))
def test_the_order_of_the_rows_does_not_matter(seed: int, shift: float, order: int) -> None:
    rng = np.random.default_rng(seed)
    reference, window = frame(rng, 150), frame(rng, 120, shift)
    assert verdict(reference, window) == verdict(
        reference.sample(frac=1, random_state=order), window.sample(frac=1, random_state=order)
    )


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0, 1), st.sampled_from(["false_alarm_rate", "min_effect_numeric"]), st.data())
def test_a_laxer_threshold_never_makes_drift_clean(seed: int, shift: float, key: str, data: Any) -> None:
    rng = np.random.default_rng(seed)
    reference, window = frame(rng, 150), frame(rng, 120, shift)
    low, high = sorted([data.draw(st.floats(0.001, 0.9)), data.draw(st.floats(0.001, 0.9))])
    strict, lax = (low, high) if key == "false_alarm_rate" else (high, low)
    before, after = (
        {
            column["name"]
            for column in verdict(reference, window, Monitor(**{key: value}))["columns"]
            if column["drifted"]
        }
        for value in (strict, lax)
    )
    assert before <= after


def test_a_significant_but_small_difference_is_no_drift() -> None:
    rng = np.random.default_rng(0)
    found = verdict(frame(rng, 20_000), frame(rng, 20_000, shift=0.1))
    moved = next(column for column in found["columns"] if column["name"] == "column_0")
    assert moved["p_value"] < found["alpha"]
    assert moved["effect"] < moved["min_effect"]
    assert found["verdict"] == "clean"


def test_alpha_is_the_false_alarm_rate_over_the_columns_tested() -> None:
    rng = np.random.default_rng(0)
    found = verdict(frame(rng, 150), frame(rng, 150))
    assert found["alpha"] == pytest.approx(CONFIG.false_alarm_rate / 5)
    assert {column["threshold"] for column in found["columns"]} == {found["alpha"]}


@pytest.mark.parametrize(("reference_rows", "window_rows", "which"), [(300, 99, "window"), (99, 300, "reference")])
def test_too_few_rows_are_never_called_clean_nor_drift(reference_rows: int, window_rows: int, which: str) -> None:
    rng = np.random.default_rng(0)
    for shift in (0.0, 3.0):
        found = verdict(frame(rng, reference_rows), frame(rng, window_rows, shift))
        assert found["verdict"] == "too_few_rows"
        assert found["reasons"] == [f"the {which} has 99 rows, too few to judge: monitor.min_rows asks for 100"]


def test_missing_values_alarm_when_their_share_has_certainly_risen() -> None:
    rng = np.random.default_rng(0)
    reference, window = frame(rng, 400), frame(rng, 300)
    reference.loc[:19, "column_1"] = np.nan  # 5%
    window.loc[:23, "column_1"] = np.nan  # 8%
    assert verdict(reference, window)["verdict"] == "clean"
    window.loc[:74, "column_1"] = np.nan  # 25%
    found = verdict(reference, window)
    assert found["verdict"] == "drift"
    assert found["reasons"] == [
        "column_1: 25.0% missing, 5.0% in the reference; the rise is certainly above monitor.max_missing_rise 0.05"
    ]


def test_a_column_without_any_value_is_missing_and_not_tested() -> None:
    rng = np.random.default_rng(0)
    reference, window = frame(rng, 200), frame(rng, 200)
    window["column_2"] = np.nan
    found = verdict(reference, window)
    untested = found["columns"][-1]
    assert (untested["name"], untested["p_value"], untested["effect"]) == ("column_2", None, None)
    assert found["verdict"] == "drift"
    assert [entry["name"] for entry in found["missing"] if entry["alarm"]] == ["column_2"]
    assert found["alpha"] == pytest.approx(CONFIG.false_alarm_rate / 4)
    json.dumps(found, allow_nan=False)


def test_one_row_of_an_unseen_category_does_not_alarm_and_many_do() -> None:
    rng = np.random.default_rng(0)
    reference, window = frame(rng, 500), frame(rng, 500)
    window.loc[0, ["prediction", "label"]] = "new"
    found = verdict(reference, window)
    assert found["verdict"] == "clean"
    assert (found["unseen"][0]["rows"], found["unseen"][0]["categories"]) == (1, ["new"])
    window.loc[:19, ["prediction", "label"]] = "new"
    found = verdict(reference, window)
    assert found["verdict"] == "drift"
    assert any(
        "prediction: 20 rows (4.0%) hold categories that the reference lacks (new)" in r for r in found["reasons"]
    )


def test_a_column_of_many_rare_categories_does_not_alarm_by_being_one() -> None:
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(100):
        reference, window = frame(rng, 300), frame(rng, 300)
        for part in (reference, window):
            part["word"] = pd.Series([f"w{rank}" for rank in rng.zipf(1.5, len(part))], dtype=object)
        found = verdict(reference, window)
        assert found["unseen"][0]["share"] > 0.05
        alarms += found["verdict"] == "drift"
    assert alarms <= 5


def test_accuracy_alarms_when_its_whole_interval_is_too_low() -> None:
    rng = np.random.default_rng(0)
    reference = frame(rng, 1000, errors=0.01)
    slightly, much = frame(rng, 300, errors=0.06), frame(rng, 300, errors=0.2)
    assert verdict(reference, slightly)["verdict"] == "clean"
    found = verdict(reference, much)
    assert found["verdict"] == "drift"
    assert found["accuracy"]["high"] < found["accuracy"]["reference"] - CONFIG.max_accuracy_drop
    assert found["reasons"][0].startswith("accuracy 0.")


def test_only_rows_with_a_label_count_for_accuracy() -> None:
    rng = np.random.default_rng(0)
    reference, window = frame(rng, 300, errors=0), frame(rng, 300, errors=0)
    window.loc[100:, "label"] = None
    window.loc[:49, "label"] = "other"
    accuracy = verdict(reference, window)["accuracy"]
    assert (accuracy["value"], accuracy["labelled_rows"]) == (0.5, 100)


@pytest.mark.parametrize("labels", [1, 3, 29])
@pytest.mark.parametrize("errors", [0, 1])
def test_a_handful_of_labels_raises_no_alarm_and_silences_no_estimate(labels: int, errors: int) -> None:
    rng = np.random.default_rng(0)
    reference, window = frame(rng, 300, errors=0), frame(rng, 300, errors=errors)
    window.loc[labels:, "label"] = None
    assert verdict(reference, window)["verdict"] == "clean"
    low = {"value": 0.5, "low": 0.4, "high": 0.6, "reference": 1.0}
    assert verdict(reference, window, estimate=low)["reasons"][0].startswith("estimated accuracy")


def test_without_labels_the_estimate_stands_in_for_accuracy_and_with_them_it_does_not() -> None:
    rng = np.random.default_rng(0)
    reference, window = frame(rng, 300, errors=0), frame(rng, 300, errors=0)
    low = {"value": 0.5, "low": 0.4, "high": 0.6, "reference": 1.0}
    assert verdict(reference, window, estimate=low)["verdict"] == "clean"
    window["label"] = None
    found = verdict(reference, window, estimate=low)
    assert (found["verdict"], found["accuracy"]) == ("drift", None)
    assert found["reasons"][0].startswith("estimated accuracy 0.500 (99% interval 0.400 to 0.600)")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda window: window.drop(columns="column_1"), "do not have the same columns: column_1 differ"),
        (lambda window: window.assign(more=1.0), "do not have the same columns: more differ"),
        (lambda window: window.assign(column_1="text"), "do not have the same columns: column_1 differ"),
        (lambda window: window.assign(column_1=1), "window's column column_1 is int64; float64 and text"),
        (lambda window: window.assign(column_1=[[1]] * len(window)), "window's column column_1 is object"),
        (lambda window: window.head(0), "the window has no rows"),
        (
            lambda window: window.rename(columns={"column_1": "column_2"}),
            "window has columns of the same name: column_2",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(change: Any, message: str) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match=message):
        kinds(frame(rng, 10), change(frame(rng, 10)))
