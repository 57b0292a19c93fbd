"""Confidence intervals: score intervals for proportions, the bootstrap for everything else."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from tqdm import tqdm

from closedloop.config import Evaluation
from closedloop.evaluation import metrics
from closedloop.evaluation.metrics import Floats
from closedloop.evaluation.predictions import Predictions

CELLS = 1 << 21  # of the matrix of counts drawn at a time: 16 MB


@dataclass(frozen=True)
class Interval:
    """A figure with its confidence interval, and how that was found."""

    value: float
    low: float
    high: float
    method: str


def normal_quantile(confidence: float) -> float:
    """How many deviations either side of the mean hold that share of a normal distribution; 0.95 -> 1.96."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def wilson(successes: ArrayLike, trials: ArrayLike, confidence: float) -> tuple[Floats, Floats]:
    """Score interval of a proportion (Wilson 1927); an honest width also where all trials succeed or none does."""
    z2 = normal_quantile(confidence) ** 2
    k, n = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    centre = (k + z2 / 2) / (n + z2)
    half = np.sqrt(z2 * (k * (n - k) / n + z2 / 4)) / (n + z2)
    # rounding must not leave the end of the scale outside
    low = np.where(k == 0, 0.0, centre - half)
    high = np.where(k == n, 1.0, centre + half)
    return low, high


def resampled_sums(features: sparse.csr_array, resamples: int, seed: int) -> Floats:
    """Column sums (resamples, K) of the rows (N, K) drawn N at a time with replacement (Efron 1979).

    Rows are not copied: a resample is how often each row was drawn, and its sums are one matrix product.
    """
    transposed = features.T.tocsr()
    return np.concatenate([(transposed @ counts.T).T for counts in draws(features.shape[0], resamples, seed)])


def draws(rows: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each of N rows is drawn in each resample, blocks (B, N) of them at a time."""
    rng, block = np.random.default_rng(seed), max(1, CELLS // rows)
    starts = range(0, resamples, block)
    for start in tqdm(starts, desc="bootstrap", unit="block", leave=False, delay=2):
        size = min(block, resamples - start)
        drawn = rng.integers(rows, size=(size, rows)) + rows * np.arange(size)[:, None]
        yield np.bincount(drawn.reshape(-1), minlength=size * rows).reshape(size, rows).astype(np.float64)


def blurred(resampled: Floats, noise: float, seed: int) -> Floats:
    """Resampled means with a further standard error, of what the resampled examples do not show."""
    return resampled + np.random.default_rng([seed, 1]).normal(0, noise, len(resampled))


def percentile(value: float, resampled: Floats, confidence: float) -> Interval:
    """The middle share of the resampled values (Efron & Tibshirani 1993, chapter 13)."""
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    collapsed = "" if resampled.min() < resampled.max() else ", without spread: no resample differs"
    return Interval(value, min(float(low), value), max(float(high), value), f"bootstrap percentile{collapsed}")


def basic(value: float, resampled: Floats, confidence: float) -> Interval:
    """The quantiles mirrored at the value, for a figure from 0 up that noise can only raise.

    The calibration error is such a figure: it is positive for a perfectly calibrated model, and resampling raises it
    once more, so that the percentile interval of a calibrated model never reaches the truth. Mirroring takes the
    second rise as an estimate of the first (Davison & Hinkley 1997, section 5.2).
    """
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(
        value, max(0.0, min(value, 2 * value - float(high))), max(value, 2 * value - float(low)), "bootstrap basic"
    )


def headline(found: Predictions, config: Evaluation) -> dict[str, Interval]:
    """accuracy, roc_auc, macro_f1, log_loss and calibration_error of the predictions, each with its interval.

    Accuracy is a proportion and takes the score interval: the bootstrap of one is too narrow near 1 and has no width
    at 1 (Brown, Cai & DasGupta 2001). The others are resampled together.
    """
    features, bins = _features(found, config.calibration_bins), config.calibration_bins
    resampled = _from_sums(resampled_sums(features, config.resamples, config.seed), len(found.classes), bins)
    values = _from_sums(np.asarray(features.sum(axis=0), np.float64), len(found.classes), bins)
    low, high = wilson(found.correct.sum(), len(found.ids), config.confidence)
    intervals = {
        name: (basic if name == "calibration_error" else percentile)(
            float(value), resampled[name], confidence=config.confidence
        )
        for name, value in values.items()
    }
    return {
        "accuracy": Interval(float(found.correct.mean()), float(low), float(high), "Wilson score"),
        "roc_auc": _roc_auc(found, config),
        **intervals,
    }


def _roc_auc(found: Predictions, config: Evaluation) -> Interval:
    """Resamples in which a class does not occur have no such area, and are left out."""
    labels, probabilities = found.labels, found.probabilities
    value = float(metrics.roc_areas(labels, probabilities, np.ones((1, len(labels))))[0])
    blocks = draws(len(labels), config.resamples, config.seed)
    areas = np.concatenate([metrics.roc_areas(labels, probabilities, counts) for counts in blocks])
    defined = areas[~np.isnan(areas)]
    return percentile(value, defined if len(defined) else np.array([0.0, 1.0]), config.confidence)


def _features(found: Predictions, bins: int) -> sparse.csr_array:
    """What each example adds (N, 3 C + bins + 2) to hits, support and predictions by class, to the gap between
    confidence and correctness by bin, to the loss, and to the number of examples."""
    examples, classes = found.probabilities.shape
    one, zero, correct = np.ones(examples), np.zeros(examples, np.int64), found.correct.astype(np.float64)
    losses = metrics.log_losses(found.labels, found.probabilities)
    blocks: list[tuple[NDArray[np.int64], Floats, int]] = [  # column, value, number of columns
        (found.labels, correct, classes),
        (found.labels, one, classes),
        (found.predicted, one, classes),
        (metrics.confidence_bins(found.confidence, bins), found.confidence - correct, bins),
        (zero, losses, 1),
        (zero, one, 1),
    ]
    rows = np.arange(examples)
    return sparse.csr_array(
        sparse.hstack([sparse.csr_array((values, (rows, columns)), (examples, k)) for columns, values, k in blocks])
    )


def _from_sums(sums: Floats, classes: int, bins: int) -> dict[str, Floats]:
    """The metrics (...) from the sums (..., 3 C + bins + 2) of what `_features` describes."""
    hits, support, predicted, gaps, loss, examples = np.split(
        sums, np.cumsum([classes, classes, classes, bins, 1]), axis=-1
    )
    return {
        "macro_f1": metrics.macro_f1(hits, support, predicted),
        "log_loss": loss[..., 0] / examples[..., 0],
        "calibration_error": metrics.calibration_error(gaps, examples[..., 0]),
    }
