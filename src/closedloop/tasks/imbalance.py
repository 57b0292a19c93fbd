"""Draws rows so that some classes become more frequent: a shift that any labelled data can have."""

import numpy as np
from numpy.typing import NDArray

FAVOURED = 0.3  # share of the classes that are favoured, at least one class


def imbalanced_rows(
    labels: list[str], share: float, rng: np.random.Generator, *, rarest: bool = False
) -> NDArray[np.intp]:
    """As many rows as there are labels; a share of them goes to a few classes, chosen at random, or to the rarest one.

    Each row is drawn once before any row of its class is drawn twice.
    """
    classes, codes = np.unique(np.array(labels), return_inverse=True)
    frequency = np.bincount(codes) / len(codes)
    some = max(1, round(FAVOURED * len(classes)))
    favoured = np.array([frequency.argmin()]) if rarest else rng.choice(len(classes), some, replace=False)
    wanted = (1 - share) * frequency
    wanted[favoured] += share / len(favoured)
    counts = rng.multinomial(len(codes), wanted)
    drawn = [np.resize(rng.permutation(np.flatnonzero(codes == code)), count) for code, count in enumerate(counts)]
    return np.asarray(rng.permutation(np.concatenate(drawn)), np.intp)
