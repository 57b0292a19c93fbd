"""Columns that say the target: they make every score look perfect, and are not there when a prediction is asked for."""

from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.data.tables import try_numbers

SAMPLE = 20_000  # rows that are looked at
CERTAIN = 0.999  # accuracy of a single column from which it is a leak: of a number the bounds are not known exactly
ALMOST = 0.98  # and from which it is suspect
LESS_ERROR = (
    0.1  # of what is wrong without it, that is left then: nothing is proven where one class has nearly all rows
)


def accuracy_alone(
    column: pa.ChunkedArray, labels: NDArray[np.int64], role: Literal["number", "category"], decimal: str
) -> float:
    """The accuracy with which one column alone tells the class of rows that it has not been learnt from.

    Of a category the most frequent class of each value, of a number a small tree; each half of the rows is told from
    the other. Whether a value is missing counts as a value.
    """
    rows = np.random.default_rng(0).permutation(len(labels))[:SAMPLE]
    taken = column.take(pa.array(rows))
    right = 0
    for asked in (0, 1):
        test, train = np.arange(len(rows)) % 2 == asked, np.arange(len(rows)) % 2 != asked
        if role == "number":
            said = _by_number(taken, labels[rows], train, test, decimal)
        else:
            said = _by_value(taken, labels[rows], train, test)
        right += int((said == labels[rows][test]).sum())
    return right / len(rows)


def rank_correlation(column: pa.ChunkedArray, numbers: NDArray[np.float64], decimal: str) -> float:
    """The size of Spearman's correlation of a column of numbers with the target, over the rows that have both."""
    from scipy.stats import spearmanr

    values = try_numbers(column, decimal)[0].to_numpy(zero_copy_only=False)
    both = ~np.isnan(values)
    if both.sum() < 3 or values[both].min() == values[both].max():
        return 0.0
    return abs(float(spearmanr(values[both], numbers[both]).statistic))


def is_suspect(accuracy: float, most_frequent: float) -> bool:
    """`most_frequent`: the share of the largest class, which says as much without any column."""
    return accuracy >= ALMOST and 1 - accuracy <= LESS_ERROR * (1 - most_frequent)


Mask = NDArray[np.bool_]


def _by_value(column: pa.ChunkedArray, labels: NDArray[np.int64], train: Mask, test: Mask) -> NDArray[np.int64]:
    codes = column.combine_chunks().dictionary_encode(null_encoding="encode").indices.to_numpy()
    counts = np.zeros((codes.max() + 1, labels.max() + 1), np.int64)
    np.add.at(counts, (codes[train], labels[train]), 1)
    said: NDArray[np.int64] = counts.argmax(axis=1)
    said[counts.sum(axis=1) == 0] = np.bincount(labels[train]).argmax()
    told: NDArray[np.int64] = said[codes[test]]
    return told


def _by_number(
    column: pa.ChunkedArray, labels: NDArray[np.int64], train: Mask, test: Mask, decimal: str
) -> NDArray[np.int64]:
    from sklearn.tree import DecisionTreeClassifier

    values = try_numbers(column, decimal)[0].to_numpy(zero_copy_only=False)[:, None]  # NaN where it is missing
    tree = DecisionTreeClassifier(max_leaf_nodes=2 * (int(labels.max()) + 1), random_state=0)
    said: NDArray[np.int64] = tree.fit(values[train], labels[train]).predict(values[test])
    return said
