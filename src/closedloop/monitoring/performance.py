"""How accurate the model probably is where no labels have arrived yet.

The mean of calibrated confidence estimates the accuracy (for instance Guillory et al. 2021, "Predicting with confidence
on unseen distributions"). It holds where a confidence means the same as on the reference: inputs may have moved among
kinds of example that the reference holds, but a label must still follow from its input as before (covariate shift
without concept shift). Under a corruption that the model has never met it is mostly too optimistic, the more so the
worse it is: on clean and unbalanced windows it was 0.001 off on average; at severity 3 from 0.05 too low (blur, mnist)
to 0.3 too high (contrast, mnist); at severity 5 it said 0.9 and more where the accuracy was 0.1
(docs/benchmarks/drift-* has the figures for every scenario). So it can confirm an alarm, and never replaces the
columns or the labels.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from closedloop.config import Monitor
from closedloop.data.examples import LABEL
from closedloop.evaluation.outcomes import NATS, RETURN
from closedloop.evaluation.profile import CONFIDENCE, WIDTH
from closedloop.monitoring.quality import MAE, NONE, absolute_errors, correctness, metric_of

Floats = NDArray[np.float64]

RESAMPLES = 200
CERTAIN = 1e-7  # confidences are kept this far from 0 and 1, where the log-odds end
STEPS, PRECISION = 50, 1e-9  # of Newton's method; five steps are usual
PRIOR = 1.0  # deviation of intercept and slope around those of raw confidence


@dataclass(frozen=True)
class Calibration:
    """The probability of being right, from the log-odds of the confidence: sigmoid(intercept + slope * log-odds)."""

    intercept: float
    slope: float

    def __call__(self, log_odds: Floats) -> Floats:
        calibrated: Floats = expit(self.intercept + self.slope * log_odds)
        return calibrated


def fit_calibration(log_odds: Floats, correct: Floats, weights: Floats | None = None) -> Calibration:
    """Platt scaling (1999) with a Gaussian prior on raw confidence, found by Newton's method with step halving.

    The prior matters where the reference holds few mistakes: without it, a model without any would be given the
    probability 1 whatever its confidence.
    """
    features = np.stack([np.ones_like(log_odds), log_odds], axis=1)
    counts = np.ones_like(log_odds) if weights is None else weights
    centre = np.array([0.0, 1.0])

    def loss(parameters: Floats) -> float:
        odds = features @ parameters
        return float(
            counts @ (np.logaddexp(0, odds) - correct * odds) + ((parameters - centre) ** 2).sum() / 2 / PRIOR**2
        )

    found, best = centre, loss(centre)
    for _ in range(STEPS):
        probability = expit(features @ found)
        gradient = features.T @ (counts * (correct - probability)) - (found - centre) / PRIOR**2
        curvature = (features.T * (counts * probability * (1 - probability))) @ features + np.eye(2) / PRIOR**2
        step = np.linalg.solve(curvature, gradient)
        while (reached := loss(found + step)) > best and np.abs(step).max() > PRECISION:
            step /= 2  # far from the optimum, where the curvature says little, a whole step can overshoot
        if reached >= best:
            break
        found, best = found + step, reached
    return Calibration(float(found[0]), float(found[1]))


def accuracy_from_confidence(reference: pd.DataFrame, window: pd.DataFrame) -> float:
    """The window's accuracy without a look at its labels; NaN where there is nothing to estimate it from."""
    known, correct, asked = _samples(reference, window)
    if not len(known) or not len(asked):
        return float("nan")
    return float(fit_calibration(known, correct)(asked).mean())


def estimate_quality(reference: pd.DataFrame, window: pd.DataFrame, config: Monitor) -> dict[str, Any] | None:
    """What the window's labels would probably say: the accuracy of classes, the mean absolute error of numbers."""
    if metric_of(reference) in (NATS, RETURN, NONE):
        return None  # it is measured, as a text needs no label; or no label could say
    estimate = estimate_mae if metric_of(reference) == MAE else estimate_accuracy
    return estimate(reference, window, config)


def estimate_mae(reference: pd.DataFrame, window: pd.DataFrame, config: Monitor) -> dict[str, Any] | None:
    """The mean width of the window's intervals, times what an error was of a width on the reference.

    It holds where a width means the same as there: it sees harder examples of a known kind, and no change of what the
    number follows from. The interval is a bootstrap of both samples. None without labels to scale with.
    """
    labelled = reference[reference[LABEL].notna()]
    errors, widths, asked = absolute_errors(labelled), _widths(labelled), _widths(window)
    if not len(errors) or not len(asked) or not widths.sum():
        return None
    rng, resampled = np.random.default_rng(config.seed), np.empty(RESAMPLES)
    for turn in range(RESAMPLES):
        known, drawn = rng.integers(len(errors), size=len(errors)), rng.integers(len(asked), size=len(asked))
        resampled[turn] = asked[drawn].mean() * errors[known].sum() / widths[known].sum()
    value = float(asked.mean() * errors.sum() / widths.sum())
    low, high = np.quantile(resampled, [(1 - config.confidence) / 2, (1 + config.confidence) / 2])
    return {
        "value": value,
        "low": min(float(low), value),
        "high": max(float(high), value),
        "reference": float(errors.mean()),
        "method": "mean width of the intervals, scaled on the reference; assumes that widths mean what they did there",
    }


def _widths(profile: pd.DataFrame) -> Floats:
    widths: Floats = profile[WIDTH].to_numpy(np.float64)
    return widths


def estimate_accuracy(reference: pd.DataFrame, window: pd.DataFrame, config: Monitor) -> dict[str, Any] | None:
    """The estimate with a bootstrap interval and the reference's accuracy.

    The interval covers the chance in both samples, not a confidence that has lost its meaning. None where the
    reference has no labels to calibrate with, or the window no confidence.
    """
    value = accuracy_from_confidence(reference, window)
    if np.isnan(value):
        return None
    known, correct, asked = _samples(reference, window)
    rng, resampled = np.random.default_rng(config.seed), np.empty(RESAMPLES)
    for turn in range(RESAMPLES):
        weights = np.bincount(rng.integers(len(known), size=len(known)), minlength=len(known)).astype(np.float64)
        drawn = asked[rng.integers(len(asked), size=len(asked))]
        resampled[turn] = fit_calibration(known, correct, weights)(drawn).mean()
    low, high = np.quantile(resampled, [(1 - config.confidence) / 2, (1 + config.confidence) / 2])
    return {
        "value": value,
        "low": min(float(low), value),
        "high": max(float(high), value),
        "reference": float(correct.mean()),
        "method": "mean of confidence, calibrated on the reference; assumes that labels follow from inputs as before",
    }


def _samples(reference: pd.DataFrame, window: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
    """Log-odds of confidence and correctness of the reference's labelled rows, log-odds of the window's rows."""
    labelled = reference.dropna(subset=[LABEL, CONFIDENCE])
    return (
        _log_odds(labelled),
        correctness(labelled).to_numpy(np.float64),
        _log_odds(window.dropna(subset=[CONFIDENCE])),
    )


def _log_odds(profile: pd.DataFrame) -> Floats:
    confidence = np.clip(profile[CONFIDENCE].to_numpy(np.float64), CERTAIN, 1 - CERTAIN)
    odds: Floats = logit(confidence)
    return odds
