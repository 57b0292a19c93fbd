import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.stats import binomtest
from sklearn.metrics import f1_score, log_loss, roc_auc_score

from closedloop.config import Evaluation
from closedloop.evaluation.intervals import headline, percentile, resampled_sums, wilson
from closedloop.evaluation.predictions import Predictions


def answers(rows: int, skill: float, seed: int, classes: int = 4) -> Predictions:
    """Predictions whose logits favour the label by `skill`."""
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    logits = rng.normal(size=(rows, classes))
    logits[np.arange(rows), labels] += skill
    odds = np.exp(logits)
    names = [chr(ord("a") + code) for code in range(classes)]
    return Predictions([str(i) for i in range(rows)], labels, odds / odds.sum(axis=1, keepdims=True), names)


@given(st.integers(1, 500), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_is_scipys(trials: int, share: float, confidence: float) -> None:
    successes = round(share * trials)
    low, high = wilson(successes, trials, confidence)
    expected = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= low <= successes / trials <= high <= 1


def test_resampled_sums_are_those_of_rows_drawn_with_replacement() -> None:
    values = np.random.default_rng(1).normal(size=(50, 2))
    sums = resampled_sums(sparse.csr_array(np.column_stack([np.ones(50), values])), 4000, seed=0)
    np.testing.assert_allclose(sums[:, 0], 50)  # as many rows as there are
    np.testing.assert_allclose(sums[:, 1:].mean(axis=0), values.sum(axis=0), atol=0.5)
    np.testing.assert_allclose(sums[:, 1:].std(axis=0), np.sqrt(50) * values.std(axis=0), rtol=0.05)


def test_values_are_scikit_learns_and_lie_within_their_intervals() -> None:
    found = answers(300, 2, seed=3)
    intervals = headline(found, Evaluation())
    assert intervals["accuracy"].value == pytest.approx((found.predicted == found.labels).mean())
    assert intervals["macro_f1"].value == pytest.approx(f1_score(found.labels, found.predicted, average="macro"))
    assert intervals["roc_auc"].value == pytest.approx(
        roc_auc_score(found.labels, found.probabilities, multi_class="ovr")
    )
    assert intervals["log_loss"].value == pytest.approx(log_loss(found.labels, found.probabilities))
    for interval in intervals.values():
        assert interval.low < interval.value <= interval.high
        assert interval.method


@pytest.mark.parametrize("metric", ["macro_f1", "log_loss", "roc_auc"])
def test_the_bootstrap_agrees_with_resampling_the_rows_themselves(metric: str) -> None:
    found, rng = answers(200, 1.5, seed=5), np.random.default_rng(9)
    score = {
        "macro_f1": lambda rows: f1_score(found.labels[rows], found.predicted[rows], average="macro"),
        "roc_auc": lambda rows: roc_auc_score(found.labels[rows], found.probabilities[rows], multi_class="ovr"),
        "log_loss": lambda rows: log_loss(found.labels[rows], found.probabilities[rows], labels=[0, 1, 2, 3]),
    }[metric]
    plainly = np.quantile([score(rng.integers(200, size=200)) for _ in range(800)], [0.025, 0.975])
    interval = headline(found, Evaluation(resamples=4000))[metric]
    width = plainly[1] - plainly[0]
    assert (interval.low, interval.high) == pytest.approx(tuple(plainly), abs=0.12 * width)


def test_the_seed_decides_and_the_confidence_widens() -> None:
    found = answers(120, 1, seed=2)
    assert headline(found, Evaluation(seed=1)) == headline(found, Evaluation(seed=1))
    assert headline(found, Evaluation(seed=1))["log_loss"] != headline(found, Evaluation(seed=2))["log_loss"]
    narrow, wide = headline(found, Evaluation(confidence=0.8)), headline(found, Evaluation(confidence=0.99))
    for name, interval in narrow.items():
        assert wide[name].low <= interval.low <= interval.high <= wide[name].high


def test_no_mistake_at_all_is_not_certainty() -> None:
    intervals = headline(answers(60, 40, seed=0), Evaluation())
    accuracy, macro_f1 = intervals["accuracy"], intervals["macro_f1"]
    assert accuracy.value == accuracy.high == 1
    assert 0.9 < accuracy.low < 0.96
    assert "Wilson" in accuracy.method
    assert (macro_f1.low, macro_f1.high) == (1, 1)
    assert "without spread" in macro_f1.method  # a reader must not take the point for a proof


def test_a_class_that_a_resample_misses_does_not_count_as_a_mistake() -> None:
    found = answers(60, 40, seed=0)
    rare = np.where(np.arange(60) < 59, found.labels % 3, 3)  # one example of class 3
    certain = np.eye(4)[rare]
    intervals = headline(Predictions(found.ids, rare, certain, found.classes), Evaluation())
    assert intervals["macro_f1"].low == 1


def test_the_calibration_interval_reaches_the_truth_of_a_calibrated_model() -> None:
    rng = np.random.default_rng(0)
    reached = 0
    for _ in range(20):
        confidence = rng.uniform(0.5, 1, size=400)
        label = (rng.random(400) > confidence).astype(np.int64)
        found = Predictions([""] * 400, label, np.column_stack([confidence, 1 - confidence]), ["a", "b"])
        interval = headline(found, Evaluation(resamples=200))["calibration_error"]
        reached += interval.low < 0.01  # the percentile interval never comes so low
        assert interval.low <= interval.value <= interval.high
    assert reached >= 12


def test_percentile_leaves_out_the_same_share_at_both_ends() -> None:
    interval = percentile(0.5, np.linspace(0, 1, 1001), 0.9)
    assert (interval.low, interval.high) == pytest.approx((0.05, 0.95))


def test_percentile_holds_the_value() -> None:
    interval = percentile(0.2, np.linspace(0.3, 0.5, 100), 0.9)
    assert interval.low == 0.2
