"""Comparison of two versions on different requests of the same traffic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.errors import DataError
from closedloop.evaluation.answers import Answers
from closedloop.evaluation.live import compare_unpaired, logged_answers, look_confidence, newcombe
from closedloop.targets import Classes


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [  # Newcombe 1998, table II, method 10
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0),
        ((10, 10, 0, 10), 0.6075, 1.0),
    ],
)
def test_newcombes_interval_is_that_of_the_paper(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    assert newcombe(*counts, 0.95) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 400), st.integers(1, 400), st.data())
@settings(deadline=None)
def test_newcombes_interval_holds_the_difference_and_mirrors_it(ours: int, theirs: int, data: st.DataObject) -> None:
    won, held = data.draw(st.integers(0, ours)), data.draw(st.integers(0, theirs))
    low, high = newcombe(won, ours, held, theirs, 0.95)
    assert -1 <= low <= won / ours - held / theirs <= high <= 1
    assert low < high
    assert newcombe(held, theirs, won, ours, 0.95) == pytest.approx((-high, -low))


YES_OR_NO = Classes(("yes", "no"))


def of(correct: np.ndarray, certainty: float = 0.9) -> Answers:
    """Answers of two classes, right where they are said to be."""
    sure = np.where(correct, certainty, 1 - certainty)
    ids, labels = [f"{i:03d}" for i in range(len(correct))], ["yes"] * len(correct)
    return logged_answers(ids, labels, np.stack([sure, 1 - sure], 1).tolist(), YES_OR_NO)


def test_equal_versions_are_rarely_told_apart() -> None:
    rng = np.random.default_rng(0)
    apart = 0
    for _ in range(400):
        found = compare_unpaired(of(rng.random(80) < 0.9), of(rng.random(700) < 0.9), "accuracy", 0.95)
        apart += found.low > 0 or found.high < 0
    assert apart / 400 < 0.08


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
def test_a_clear_difference_is_found_in_either_direction(metric: str) -> None:
    rng = np.random.default_rng(1)
    good, bad = of(rng.random(300) < 0.97), of(rng.random(2000) < 0.8)
    better = compare_unpaired(good, bad, metric, 0.99)
    worse = compare_unpaired(bad, good, metric, 0.99)
    assert 0 < better.low < better.gain < better.high
    assert worse.low < worse.gain < worse.high < 0
    assert (better.examples, worse.examples) == (300, 2000)
    assert "300 answers against 2000" in better.method


def test_what_cannot_be_compared_is_said() -> None:
    few = of(np.ones(10, bool))
    with pytest.raises(DataError, match="10 and 10 examples are too few to compare log_loss"):
        compare_unpaired(few, few, "log_loss", 0.95)
    other = logged_answers(["a"], ["yes"], [[1.0, 0.0]], Classes(("yes", "maybe")))
    with pytest.raises(DataError, match="do not tell the same classes apart"):
        compare_unpaired(few, other, "accuracy", 0.95)
    with pytest.raises(DataError, match="do not have the 2 columns of their version"):
        logged_answers(["a", "b"], ["yes", "no"], [[1.0, 0.0], [1.0]], YES_OR_NO)
    with pytest.raises(DataError, match="a label that is no class"):
        logged_answers(["a"], ["maybe"], [[1.0, 0.0]], YES_OR_NO)


def test_all_looks_together_keep_the_level() -> None:
    spent = sum(1 - look_confidence(0.95, look) for look in range(1, 200_000))
    assert 0.0499 < spent < 0.05
    assert look_confidence(0.95, 1) > 0.95


def test_looking_again_and_again_at_equal_versions_seldom_finds_a_difference() -> None:
    rng = np.random.default_rng(2)
    found = naive = 0
    for _ in range(150):
        ours, theirs = rng.random(1000) < 0.9, rng.random(1000) < 0.9
        looks = [(look, look * 50) for look in range(1, 21)]
        found += any(excludes_zero(ours[:n], theirs[:n], look_confidence(0.95, look)) for look, n in looks)
        naive += any(excludes_zero(ours[:n], theirs[:n], 0.95) for _, n in looks)
    assert found / 150 < 0.05
    assert naive / 150 > 0.15  # without the correction: why it is there


def excludes_zero(ours: np.ndarray, theirs: np.ndarray, confidence: float) -> bool:
    low, high = newcombe(int(ours.sum()), len(ours), int(theirs.sum()), len(theirs), confidence)
    return low > 0 or high < 0
