"""Tests and distances between a reference and a window: one column each, missing values left out.

Which tests hold their false-alarm rate at the sizes of this project was measured (docs/benchmarks/drift-*.json):
Kolmogorov-Smirnov for numbers, a chi-square test of homogeneity for categories.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, ks_2samp

from closedloop.evaluation.intervals import wilson

MIN_EXPECTED = 5.0  # rows of a category that chi-square's approximation wants in either sample (Cochran 1954)
NUMBER, CATEGORY = "number", "category"


def present(column: pd.Series) -> pd.Series:
    """The values that are there; infinity counts as missing."""
    return column.replace([np.inf, -np.inf], np.nan).dropna()


def p_value(kind: str, reference: pd.Series, window: pd.Series) -> float:
    """How often two samples of one population differ at least as much."""
    if kind == NUMBER:
        return float(ks_2samp(present(reference), present(window)).pvalue)
    table = contingency(present(reference), present(window))
    return 1.0 if table.shape[1] < 2 else float(chi2_contingency(table, correction=False).pvalue)


def distance(kind: str, reference: pd.Series, window: pd.Series) -> float:
    """The size of the difference from 0 to 1, whatever the number of rows."""
    if kind == NUMBER:
        return float(ks_2samp(present(reference), present(window), method="asymp").statistic)
    return cramers_v(contingency(present(reference), present(window)))


def contingency(reference: pd.Series, window: pd.Series) -> NDArray[np.int64]:
    """Rows by sample and category (2, K).

    The rarest categories are merged until each is expected at least MIN_EXPECTED times in the smaller sample: without
    that, one row of an unseen category against a large reference gives a p-value of nearly 0.
    """
    counts = pd.DataFrame({"reference": reference.value_counts(), "window": window.value_counts()}).fillna(0)
    table = counts.to_numpy(np.int64).T
    table = table[:, np.argsort(table.sum(axis=0), kind="stable")]  # rarest first
    smaller = min(len(reference), len(window)) / (len(reference) + len(window))
    expected = table.sum(axis=0) * smaller
    merged = max(int((expected < MIN_EXPECTED).sum()), 1)
    while merged < table.shape[1] and expected[:merged].sum() < MIN_EXPECTED:
        merged += 1
    return np.concatenate([table[:, :merged].sum(axis=1, keepdims=True), table[:, merged:]], axis=1)


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
