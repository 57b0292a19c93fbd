"""Figures of merit for class probabilities; those that need only sums over rows take stacks of sums as well."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def confusion_matrix(labels: Ints, predicted: Ints, classes: int) -> Ints:
    """Counts (C, C): rows are the actual classes, columns the predicted ones."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def precision(hits: Floats, predicted: Floats) -> Floats:
    """Share of the predictions of each class that are right; 0 for a class that is never predicted."""
    return np.divide(hits, predicted, out=np.zeros(np.shape(hits)), where=predicted > 0)


def recall(hits: Floats, support: Floats) -> Floats:
    """Share of the examples of each class that are found; 0 for a class without examples."""
    return np.divide(hits, support, out=np.zeros(np.shape(hits)), where=support > 0)


def f1(hits: Floats, support: Floats, predicted: Floats) -> Floats:
    """Harmonic mean of precision and recall of each class; 0 for a class neither present nor predicted."""
    total = support + predicted
    return np.divide(2 * hits, total, out=np.zeros(np.shape(hits)), where=total > 0)


def macro_f1(hits: Floats, support: Floats, predicted: Floats) -> Floats:
    """Mean F1 over the classes present or predicted, from counts (..., C) -> (...)."""
    mean: Floats = f1(hits, support, predicted).sum(axis=-1) / (support + predicted > 0).sum(axis=-1)
    return mean


def log_losses(labels: Ints, probabilities: Floats) -> Floats:
    """Minus the natural logarithm (N,) of the probability (N, C) given to the label; 0 counts as 2e-16."""
    given = probabilities[np.arange(len(labels)), labels]
    return -np.log(np.clip(given, np.finfo(np.float64).eps, 1))


def confidence_bins(confidence: Floats, bins: int) -> Ints:
    """Index of the bin of equal width, open below and closed above, that each confidence in 0..1 falls into."""
    return np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence, side="left").astype(np.int64)


def calibration_error(gaps: Floats, examples: ArrayLike) -> Floats:
    """Expected calibration error from `gaps` (..., bins), the sum of confidence minus correctness within each bin.

    Mean distance between confidence and accuracy over bins of equal width, weighted by their examples: Guo et al. 2017,
    On Calibration of Modern Neural Networks, equation 3.
    """
    total: Floats = np.abs(gaps).sum(axis=-1) / np.asarray(examples)
    return total


def roc_areas(labels: Ints, probabilities: Floats, counts: Floats) -> Floats:
    """Area under the ROC curve (R,) when example n occurs counts[r, n] times; NaN where a class does not occur.

    The probability that an example of the class scores above one that is not of it, ties half (Hanley & McNeil 1982).
    Of two classes, of the second one; of more, the mean over the classes of each against the rest.
    """
    classes = probabilities.shape[1]
    of = [1] if classes == 2 else range(classes)
    mean: Floats = np.mean([_roc_area(labels == code, probabilities[:, code], counts) for code in of], axis=0)
    return mean


def _roc_area(positive: NDArray[np.bool_], scores: Floats, counts: Floats) -> Floats:
    order = np.argsort(scores, kind="stable")
    first = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))  # of each run of equal scores
    yes = np.add.reduceat(counts[:, order] * positive[order], first, axis=1)  # (R, distinct scores)
    no = np.add.reduceat(counts[:, order] * ~positive[order], first, axis=1)
    above = (yes * (np.cumsum(no, axis=1) - no / 2)).sum(axis=1)
    pairs = yes.sum(axis=1) * no.sum(axis=1)
    area: Floats = np.divide(above, pairs, out=np.full(len(counts), np.nan), where=pairs > 0)
    return area
