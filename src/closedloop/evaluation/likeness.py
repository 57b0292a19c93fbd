"""How alike two samples of vectors are, where one is to imitate the other."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BLOCK = 1 << 24  # distances that are held at once: 128 MB
NEIGHBOURS = 3  # as Kynkäänniemi et al. have it


def energy_scores(real: Floats, made: Floats) -> tuple[Floats, float]:
    """How far what is made, taken for a distribution, is from each real vector: (N, K) and (M, K) -> (N,).

    The mean distance to what is made, less half the mean distance within that. On average it is the smallest for the
    distribution that the real ones come from: Gneiting and Raftery, "Strictly proper scoring rules", 2007. With them
    comes the standard error of their mean that is due to what happened to be made, by the influence of each of it on
    that mean (Hampel, "The influence curve and its role in robust estimation", 1974).
    """
    within = np.concatenate([block.sum(axis=1) for block in distances(made, made)]) / (len(made) - 1)
    means, sums = [], np.zeros(len(made))
    for block in distances(real, made):
        means.append(block.mean(axis=1))
        sums += block.sum(axis=0)
    influence = sums / len(real) - within
    return np.concatenate(means) - within.mean() / 2, float(influence.std(ddof=1) / np.sqrt(len(made)))


def frechet(one: Floats, other: Floats) -> float:
    """The Fréchet distance of two normal distributions with the samples' means and covariances (Heusel et al., 2017).

    |m1 - m2|^2 + trace(C1 + C2 - 2 (C1 C2)^(1/2)), of samples (N, K) and (M, K).
    """
    covariances = [np.atleast_2d(np.cov(sample, rowvar=False)) for sample in (one, other)]
    root = _root(covariances[0])
    shared = np.linalg.eigvalsh(root @ covariances[1] @ root)
    between = float(((one.mean(axis=0) - other.mean(axis=0)) ** 2).sum())
    return between + sum(float(np.trace(each)) for each in covariances) - 2 * float(np.sqrt(shared.clip(0)).sum())


def among(asked: Floats, sample: Floats) -> NDArray[np.bool_]:
    """Which of the vectors asked about (N, K) lie as close to one of the sample (M, K) as its third-next neighbour.

    Precision is the share of what is made among the real ones, recall the reverse: Kynkäänniemi et al., "Improved
    precision and recall metric for assessing generative models", 2019.
    """
    nth = min(NEIGHBOURS, len(sample) - 1)
    radii = np.concatenate([np.partition(block, nth, axis=1)[:, nth] for block in distances(sample, sample)])
    return np.concatenate([(block <= radii).any(axis=1) for block in distances(asked, sample)])


def nearest(asked: Floats, sample: Floats) -> tuple[NDArray[np.intp], Floats]:
    """The row of the nearest of the sample (M, K) to each vector asked about (N, K), and how far it is."""
    found = [(block.argmin(axis=1), block.min(axis=1)) for block in distances(asked, sample)]
    return np.concatenate([rows for rows, _ in found]), np.concatenate([far for _, far in found])


def distances(one: Floats, other: Floats) -> Iterator[Floats]:
    """Euclidean distances (rows, M) from some rows of (N, K) after the others to all of (M, K)."""
    rows, squares = max(1, BLOCK // len(other)), (other**2).sum(axis=1)
    for start in range(0, len(one), rows):
        some = one[start : start + rows]
        squared = (some**2).sum(axis=1)[:, None] + squares - 2 * some @ other.T
        yield np.sqrt(squared.clip(0))


def _root(matrix: Floats) -> Floats:
    """The square root of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    root: Floats = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return root
