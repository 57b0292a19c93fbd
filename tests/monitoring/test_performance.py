"""Accuracy without labels: right where its assumption holds, and honest about its width."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from closedloop.config import Monitor
from closedloop.monitoring.performance import estimate_accuracy, fit_calibration

CONFIG = Monitor()


def answers(rng: np.random.Generator, rows: int, ease: float, slope: float = 1.0) -> pd.DataFrame:
    """Answers whose confidence means what calibration with that slope says; the easier, the more confident."""
    confidence = rng.beta(ease, 1, rows) * 0.9 + 0.1
    right = rng.random(rows) < expit(slope * logit(np.clip(confidence, 1e-7, 1 - 1e-7)))
    return pd.DataFrame({"prediction": "a", "confidence": confidence, "label": np.where(right, "a", "b")})


@pytest.mark.parametrize("slope", [0.5, 1.0, 2.0])
def test_under_covariate_shift_it_finds_the_accuracy_that_it_cannot_see(slope: float) -> None:
    rng = np.random.default_rng(0)
    reference, window = answers(rng, 5000, 8, slope), answers(rng, 5000, 2, slope)
    truth = (window["prediction"] == window["label"]).mean()
    estimate = estimate_accuracy(reference, window.assign(label=None), CONFIG)
    assert estimate is not None
    assert estimate["low"] < truth < estimate["high"]
    assert abs(estimate["value"] - truth) < abs(estimate["reference"] - truth) / 2


def test_its_interval_covers_as_often_as_it_says() -> None:
    rng, covered, turns = np.random.default_rng(0), 0, 40
    many = answers(rng, 400_000, 3)
    truth = (many["prediction"] == many["label"]).mean()
    for _ in range(turns):
        estimate = estimate_accuracy(answers(rng, 400, 6), answers(rng, 300, 3), Monitor(confidence=0.9))
        assert estimate is not None
        covered += estimate["low"] <= truth <= estimate["high"]
    assert covered / turns > 0.9 - 3 * np.sqrt(0.9 * 0.1 / turns)


def test_calibration_is_the_logistic_regression_of_correctness_where_there_is_much_of_it() -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(2, 2, 20_000)
    correct = (rng.random(20_000) < expit(-0.5 + 0.7 * odds)).astype(float)
    fitted = fit_calibration(odds, correct)
    assert (fitted.intercept, fitted.slope) == pytest.approx((-0.5, 0.7), abs=0.06)


def test_a_reference_without_mistakes_does_not_make_the_model_infallible() -> None:
    confident = np.full(200, logit(0.99))
    fitted = fit_calibration(confident, np.ones(200))
    assert fitted(np.array([logit(0.55)]))[0] < 0.9


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(0, 5), st.floats(-2, 12), st.floats(0.01, 6))
def test_calibration_reaches_its_optimum_however_few_the_mistakes(
    seed: int, mistakes: int, centre: float, spread: float
) -> None:
    odds = np.clip(np.random.default_rng(seed).normal(centre, spread, 300), -16, 16)
    correct = np.ones(300)
    correct[np.argsort(odds)[:mistakes]] = 0
    fitted = fit_calibration(odds, correct)
    wrong = correct - fitted(odds)  # the gradient, which vanishes at the optimum
    assert wrong.sum() == pytest.approx(fitted.intercept, abs=1e-3)
    assert wrong @ odds == pytest.approx(fitted.slope - 1, abs=1e-3)


@pytest.mark.parametrize("certain", [0.0, 1.0])
def test_confidences_at_the_ends_of_the_scale_are_finite(certain: float) -> None:
    rng = np.random.default_rng(0)
    reference, window = answers(rng, 300, 5), answers(rng, 300, 5)
    window["confidence"] = certain
    estimate = estimate_accuracy(reference, window, CONFIG)
    assert estimate is not None
    assert 0 <= estimate["low"] <= estimate["value"] <= estimate["high"] <= 1


def test_there_is_no_estimate_without_labels_in_the_reference_or_confidence_in_the_window() -> None:
    frame = answers(np.random.default_rng(0), 100, 5)
    assert estimate_accuracy(frame.assign(label=None), frame, CONFIG) is None
    assert estimate_accuracy(frame, frame.assign(confidence=np.nan), CONFIG) is None


def test_a_clean_window_of_digits_is_estimated_well(answered: Any) -> None:
    window = answered.window("none", 3, 0)
    estimate = estimate_accuracy(answered.reference, window, CONFIG)
    assert estimate is not None
    assert estimate["value"] == pytest.approx((window["prediction"] == window["label"]).mean(), abs=0.03)
