"""Tests and distances between a reference and a window: one column each, missing values left out.

Which tests hold their false-alarm rate at the sizes of this project was measured (docs/benchmarks/drift-*.json):
Kolmogorov-Smirnov for numbers, a chi-square test of homogeneity for categories.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, fisher_exact, ks_2samp

from closedloop.evaluation.intervals import wilson

MIN_EXPECTED = 5.0  # rows of a category that chi-square's approximation wants in either sample (Cochran 1954)
NUMBER, CATEGORY = "number", "category"


def present(column: pd.Series) -> pd.Series:
    """The values that are there; infinity counts as missing."""
    return column.replace([np.inf, -np.inf], np.nan).dropna()


def p_value(kind: str, reference: pd.Series, window: pd.Series) -> float:
    """How often two samples of one population differ at least as much."""
    reference, window = present(reference), present(window)
    if kind == NUMBER:
        return float(ks_2samp(reference, window).pvalue)
    return homogeneity(contingency(reference, window))


def distance(kind: str, reference: pd.Series, window: pd.Series) -> float:
    """The size of the difference from 0 to 1, whatever the number of rows."""
    reference, window = present(reference), present(window)
    if kind == NUMBER:
        return float(ks_2samp(reference, window, method="asymp").statistic)
    return cramers_v(contingency(reference, window))


def contingency(reference: pd.Series, window: pd.Series) -> NDArray[np.int64]:
    """Rows by sample and category (2, K), rarest first; categories too rare for chi-square are counted as one."""
    counts = pd.DataFrame({"reference": reference.value_counts(), "window": window.value_counts()}).fillna(0)
    table = counts.to_numpy(np.int64).T
    table = table[:, np.argsort(table.sum(axis=0), kind="stable")]
    rare = _expected(table) < MIN_EXPECTED
    together = table[:, rare].sum(axis=1, keepdims=True)
    return np.concatenate([together, table[:, ~rare]], axis=1) if rare.any() else table


def _expected(table: NDArray[np.int64]) -> NDArray[np.float64]:
    """Rows of each category (K,) to be expected in the smaller sample if there is no difference."""
    by_sample = table.sum(axis=1)
    expected: NDArray[np.float64] = table.sum(axis=0) * (by_sample.min() / by_sample.sum())
    return expected


def homogeneity(table: NDArray[np.int64]) -> float:
    """Chi-square test of a table (2, K) from `contingency`, exact where its approximation fails.

    A few rows of rare categories against a large reference would give a p-value of nearly 0. If even together the
    rare ones are too few, Fisher's exact test compares them with all others, chi-square compares the others among
    themselves, and the smaller p-value of the two counts twice (Bonferroni).
    """
    if table.shape[1] < 2:
        return 1.0
    if _expected(table)[0] >= MIN_EXPECTED:
        return float(chi2_contingency(table, correction=False).pvalue)
    rare, others = table[:, 0], table[:, 1:]
    exact = float(fisher_exact(np.stack([rare, others.sum(axis=1)], axis=1)).pvalue)
    if others.shape[1] < 2:
        return exact
    return min(1.0, 2 * min(exact, float(chi2_contingency(others, correction=False).pvalue)))


def cramers_v(table: NDArray[np.int64]) -> float:
    """Cramer's V of two samples weighted equally: 0 for equal shares, 1 for no category in common.

    With the rows as they are it would be bounded by the ratio of the sample sizes, so that 300 rows against 10,000
    could not reach 0.2 whatever they held.
    """
    reference, window = table / table.sum(axis=1, keepdims=True)
    total = reference + window
    return float(np.sqrt((np.divide((reference - window) ** 2, total, where=total > 0, out=total * 0)).sum() / 2))


@dataclass(frozen=True)
class Rise:
    """How much larger a share is in the window, with its confidence interval."""

    value: float
    low: float
    high: float


def rise(window: int, window_rows: int, reference: int, reference_rows: int, confidence: float) -> Rise:
    """Difference of two shares with Newcombe's hybrid score interval (1998, method 10)."""
    p, q = window / window_rows, reference / reference_rows
    p_low, p_high = (float(bound) for bound in wilson(window, window_rows, confidence))
    q_low, q_high = (float(bound) for bound in wilson(reference, reference_rows, confidence))
    low = p - q - float(np.hypot(p - p_low, q_high - q))
    high = p - q + float(np.hypot(p_high - p, q - q_low))
    return Rise(p - q, low, high)
