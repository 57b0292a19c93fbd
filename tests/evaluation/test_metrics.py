"""Every metric agrees with scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support, roc_auc_score

from closedloop.evaluation import metrics


@st.composite
def answers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) and probabilities (N, C), from hopeless to certain."""
    classes = draw(st.integers(2, 6))
    rows = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    labels = rng.integers(classes, size=rows)
    logits = rng.normal(size=(rows, classes)) * draw(st.sampled_from([0.1, 1, 5, 60]))
    logits[np.arange(rows), labels] += draw(st.sampled_from([0, 1, 10]))
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return labels, odds / odds.sum(axis=1, keepdims=True)


@given(answers())
def test_counts_precision_recall_and_f1(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = drawn
    classes, predicted = probabilities.shape[1], probabilities.argmax(axis=1)
    confusion = metrics.confusion_matrix(labels, predicted, classes)
    every = list(range(classes))
    np.testing.assert_array_equal(confusion, confusion_matrix(labels, predicted, labels=every))

    hits, support, said = (
        counts.astype(float) for counts in (confusion.diagonal(), confusion.sum(1), confusion.sum(0))
    )
    expected = precision_recall_fscore_support(labels, predicted, labels=every, zero_division=0)
    np.testing.assert_allclose(metrics.precision(hits, said), expected[0])
    np.testing.assert_allclose(metrics.recall(hits, support), expected[1])
    np.testing.assert_allclose(metrics.f1(hits, support, said), expected[2])
    macro = precision_recall_fscore_support(labels, predicted, average="macro", zero_division=0)[2]
    assert metrics.macro_f1(hits, support, said) == pytest.approx(macro)


@given(answers())
def test_log_loss(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = drawn
    expected = log_loss(labels, probabilities, labels=list(range(probabilities.shape[1])))
    assert metrics.log_losses(labels, probabilities).mean() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(answers(), st.integers(2, 20))
def test_calibration_error(drawn: tuple[np.ndarray, np.ndarray], bins: int) -> None:
    labels, probabilities = drawn
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    in_bin = metrics.confidence_bins(confidence, bins)
    gaps = np.bincount(in_bin, weights=confidence - correct, minlength=bins)
    share = np.bincount(in_bin, minlength=bins) / len(labels)
    accuracy, mean_confidence = calibration_curve(correct, confidence, n_bins=bins, strategy="uniform", pos_label=True)
    expected = (share[share > 0] * np.abs(accuracy - mean_confidence)).sum()
    assert metrics.calibration_error(gaps, len(labels)) == pytest.approx(expected, abs=1e-12)


def test_calibration_error_of_known_answers() -> None:
    confidence, correct = np.array([0.9] * 10), np.array([True] * 6 + [False] * 4)
    gaps = np.bincount(metrics.confidence_bins(confidence, 10), weights=confidence - correct, minlength=10)
    assert metrics.calibration_error(gaps, 10) == pytest.approx(0.3)


def test_stacked_counts_give_stacked_scores() -> None:
    hits, support, said = (
        np.array([[1.0, 2.0], [2.0, 2.0]]),
        np.array([[2.0, 2.0]] * 2),
        np.array([[1.0, 3.0], [2.0, 2.0]]),
    )
    singly = [float(metrics.macro_f1(*row)) for row in zip(hits, support, said, strict=True)]
    np.testing.assert_allclose(metrics.macro_f1(hits, support, said), singly)
    assert singly[1] == 1


def test_a_certain_and_wrong_answer_has_a_finite_loss() -> None:
    assert np.isfinite(metrics.log_losses(np.array([0]), np.array([[0.0, 1.0]]))).all()


@given(st.integers(2, 4), st.integers(0, 1000), st.booleans())
def test_the_roc_area_is_scikit_learns(classes: int, seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(classes, size=60)])
    scores = rng.random((len(labels), classes)) + 1
    probabilities = scores / scores.sum(axis=1, keepdims=True)
    if ties:
        probabilities = np.eye(classes)[probabilities.argmax(axis=1)]
    counts = np.stack([np.ones(len(labels)), rng.integers(1, 4, len(labels))]).astype(np.float64)
    given_scores = probabilities[:, 1] if classes == 2 else probabilities
    for row, area in zip(counts, metrics.roc_areas(labels, probabilities, counts), strict=True):
        again = np.repeat(np.arange(len(labels)), row.astype(int))
        expected = roc_auc_score(labels[again], given_scores[again], multi_class="ovr")
        assert area == pytest.approx(expected)


def test_without_one_of_the_classes_there_is_no_roc_area() -> None:
    counts = np.array([[1.0, 0.0], [1.0, 1.0]])
    areas = metrics.roc_areas(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]), counts)
    np.testing.assert_array_equal(areas, [np.nan, 1])
