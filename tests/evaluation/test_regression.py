"""Figures of merit of numbers: values, intervals, comparisons, the gate."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from closedloop.config import Evaluation, NumberGate
from closedloop.data.examples import ID, LABEL
from closedloop.errors import DataError
from closedloop.evaluation import regression
from closedloop.evaluation.answers import answers_of, read_answers
from closedloop.evaluation.comparison import compare
from closedloop.evaluation.gate import judge
from closedloop.evaluation.live import compare_unpaired
from closedloop.evaluation.numbers import Numbers
from closedloop.evaluation.predictions import Predictions
from closedloop.targets import Number

CONFIG = Evaluation()
TARGET = Number(0.0, 1.0, -3.0, 3.0, 0.9)
GATE = NumberGate(target="number", min_r2=0.5, max_mae=1.0, min_coverage=0.8)


def numbers(rows: int, noise: float, seed: int = 0, offset: float = 0.0, first: int = 0) -> Numbers:
    """Answers that err by `noise`, whose intervals are made to hold nine of ten."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=rows) * 3 + offset
    value = truth + rng.normal(size=rows) * noise
    reach = 1.645 * noise
    return Numbers([f"{first + i:05d}" for i in range(rows)], truth, value, value - reach, value + reach)


@given(st.integers(5, 200), st.floats(0.01, 5), st.floats(-1e6, 1e6))
def test_values_are_scikit_learns_and_lie_within_their_intervals(rows: int, noise: float, offset: float) -> None:
    found = numbers(rows, noise, offset=offset)
    values = regression.headline(found, Evaluation(resamples=100))
    assert values["mae"].value == pytest.approx(mean_absolute_error(found.truth, found.value))
    assert values["rmse"].value == pytest.approx(root_mean_squared_error(found.truth, found.value))
    assert values["r2"].value == pytest.approx(r2_score(found.truth, found.value), abs=1e-6)
    assert values["coverage"].value == found.held.mean()
    for interval in values.values():
        assert interval.low <= interval.value <= interval.high


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    held = 0
    for seed in range(200):
        interval = regression.headline(numbers(120, 1.0, seed), CONFIG)["mae"]
        held += interval.low <= np.sqrt(2 / np.pi) <= interval.high
    assert 0.88 < held / 200 <= 1


def test_a_report_keeps_feedback_apart() -> None:
    found = numbers(100, 1.0)
    parts = ["all"] * 80 + ["feedback-1234567890abcdef"] * 20
    report = regression.report("x", found, parts, CONFIG)
    assert [(row["part"], row["examples"]) for row in report["parts"]] == [("all", 80), (parts[-1], 20)]
    official = np.abs(found.residuals[:80]).mean()
    assert report["official"]["metrics"]["mae"]["value"] == pytest.approx(official)
    assert report["parts"][0]["mae"]["value"] == pytest.approx(official)
    json.dumps(report, allow_nan=False)


def test_predictions_survive_their_file(tmp_path: Path) -> None:
    found = numbers(7, 1.0)
    found.write(tmp_path / "predictions.parquet")
    again = read_answers(tmp_path / "predictions.parquet")
    assert isinstance(again, Numbers) and again.ids == found.ids
    np.testing.assert_array_equal(again.high, found.high)


def test_what_is_no_answer_is_named() -> None:
    examples = pa.table({ID: ["a", "b"], LABEL: ["1", "2"]})
    with pytest.raises(DataError, match=r"shape \(2, 2\)"):
        answers_of(examples, np.zeros((2, 2)), TARGET)
    with pytest.raises(DataError, match="first for b"):
        answers_of(examples, np.array([[0, 0, 0], [0, 1, 2.0]]), TARGET)
    with pytest.raises(DataError, match=r"first b \('x'\)"):
        answers_of(pa.table({ID: ["a", "b"], LABEL: ["1", "x"]}), np.zeros((2, 3)), TARGET)


@pytest.mark.parametrize("metric", ["mae", "mse"])
def test_a_smaller_error_is_a_gain_and_order_does_not_matter(metric: str) -> None:
    good = numbers(200, 1.0)
    bad = Numbers(good.ids, good.truth, good.value + 2, good.low + 2, good.high + 2)
    rows = np.random.default_rng(0).permutation(200)
    shuffled = Numbers(
        [bad.ids[row] for row in rows], *(column[rows] for column in (bad.truth, bad.value, bad.low, bad.high))
    )
    found = compare(good, shuffled, metric, 0.95)
    assert found.gain == pytest.approx(float((bad.losses(metric) - good.losses(metric)).mean()))
    assert 0 < found.low <= found.gain <= found.high
    assert compare(bad, good, metric, 0.95).high < 0
    assert compare(good, good, metric, 0.95).low == 0 == compare(good, good, metric, 0.95).high
    other = numbers(300, 1.5, seed=5, first=1000)
    assert compare_unpaired(good, other, metric, 0.95).low > 0


def test_numbers_and_classes_are_no_pair() -> None:
    one = Predictions(["a"], np.array([0]), np.array([[1.0, 0.0]]), ["x", "y"])
    other = Numbers(["a"], *[np.zeros(1)] * 4)
    for pair in ((one, other), (other, one)):
        with pytest.raises(DataError, match="do not tell the same kind of thing"):
            compare(*pair, "mae", 0.95)


def evaluation(**changed: float) -> dict[str, Any]:
    figures = {"mae": 0.5, "rmse": 0.7, "r2": 0.8, "coverage": 0.9, **changed}
    return {
        "examples": 200,
        "metrics": {name: {"value": value} for name, value in figures.items()},
        "serving": {"latency_ms_p95": 1.0, "size_bytes": 1e5},
    }


@pytest.mark.parametrize(
    ("changed", "name"),
    [({"r2": 0.4}, "gate.min_r2"), ({"mae": 1.5}, "gate.max_mae"), ({"coverage": 0.7}, "gate.min_coverage"),
     ({"r2": float("nan")}, "gate.min_r2")],
)  # fmt: skip
def test_each_floor_of_numbers_is_a_condition(changed: dict[str, float], name: str) -> None:
    assert judge(evaluation(), None, GATE, champion_version=None, parity_error=0).promote
    verdict = judge(evaluation(**changed), None, GATE, champion_version=None, parity_error=0)
    assert not verdict.promote and name in verdict.reasons[0]


def test_the_gate_promotes_a_surely_smaller_error_alone() -> None:
    champion, tie = numbers(200, 1.0, seed=1), numbers(200, 1.0, seed=1)
    better = Numbers(champion.ids, champion.truth, champion.truth + 0.1, champion.low - 1, champion.high + 1)
    for challenger, promoted in ((better, True), (tie, False), (numbers(200, 3.0, seed=1), False)):
        mae = float(challenger.losses("mae").mean())
        comparison = compare(challenger, champion, "mae", 0.95)
        floors = GATE.model_copy(update={"max_mae": 10.0})
        verdict = judge(evaluation(mae=mae), comparison, floors, champion_version=1, parity_error=0)
        assert verdict.promote is promoted
    squared = compare(better, champion, "mse", 0.95)
    gate = GATE.model_copy(update={"metric": "mse"})
    rmse = float(np.sqrt(better.losses("mse").mean()))
    assert judge(evaluation(rmse=rmse), squared, gate, champion_version=1, parity_error=0).promote
    lied = judge(evaluation(rmse=rmse + 0.01), squared, gate, champion_version=1, parity_error=0)
    assert "in its evaluation" in lied.reasons[0]
