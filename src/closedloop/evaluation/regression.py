"""The evaluation of a model that tells numbers, as it is written to evaluation.json and metrics.json."""

from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from closedloop.config import Evaluation
from closedloop.data.partitions import is_feedback
from closedloop.errors import DataError
from closedloop.evaluation.intervals import Interval, percentile, resampled_sums, wilson
from closedloop.evaluation.numbers import Floats, Numbers

HEADLINE = "mae"
BINS = 10  # of equally many predictions: is the mean of the true numbers what was predicted?


def report(task: str, found: Numbers, parts: list[str], config: Evaluation) -> dict[str, Any]:
    """Headline metrics over all examples, and the mean absolute error by part, each with its interval.

    `parts` names the part of the raw data that each example came from, in their order. With labelled feedback among
    them, `official` has the same figures for the official parts alone: they stay comparable as feedback comes.

    Raises DataError when there is no official example.
    """
    official = found.only([name for name, part in zip(found.ids, parts, strict=True) if not is_feedback(part)])
    if not official.ids:
        raise DataError("the test split holds no official example; add some, or enlarge preprocess.test_share")
    content = {
        "task": task,
        "confidence": config.confidence,
        "resamples": config.resamples,
        "seed": config.seed,
        "headline": HEADLINE,
        **_figures(found, config),
        "parts": [
            {"part": part, "examples": len(some.ids), HEADLINE: asdict(headline(some, config)[HEADLINE])}
            for part, some in _by_part(found, parts)
        ],
    }
    return content if len(official.ids) == len(found.ids) else {**content, "official": _figures(official, config)}


def headline(found: Numbers, config: Evaluation) -> dict[str, Interval]:
    """mae, rmse, r2, coverage and interval_width of the predictions, each with its interval.

    The coverage is a proportion and takes the score interval; the others are resampled together.
    """
    absolute, squared = found.losses("mae"), found.losses("mse")
    centred = found.truth - found.truth.mean()  # the variance of a sum of large numbers would lose its digits
    columns = [absolute, squared, centred, centred**2, found.high - found.low, np.ones(len(found.ids))]
    features = sparse.csr_array(np.stack(columns, axis=1))
    resampled = _from_sums(resampled_sums(features, config.resamples, config.seed))
    values = _from_sums(np.asarray(features.sum(axis=0), np.float64))
    held = int(found.held.sum())
    low, high = wilson(held, len(found.ids), config.confidence)
    return {
        **{name: percentile(float(value), resampled[name], config.confidence) for name, value in values.items()},
        "coverage": Interval(held / len(found.ids), float(low), float(high), "Wilson score"),
    }


def calibration(found: Numbers) -> pd.DataFrame:
    """A row for each tenth of the examples by their prediction: its mean, that of the true numbers, and how many of
    these the intervals hold."""
    order = np.argsort(found.value, kind="stable")
    groups = [rows for rows in np.array_split(order, BINS) if len(rows)]
    return pd.DataFrame(
        {
            "examples": [len(rows) for rows in groups],
            "predicted": [found.value[rows].mean() for rows in groups],
            "actual": [found.truth[rows].mean() for rows in groups],
            "coverage": [found.held[rows].mean() for rows in groups],
        }
    )


def ranges(found: Numbers, count: int = 5) -> pd.DataFrame:
    """A row an example, as the confusion template of `dvc plots` wants it: the ranges of both numbers."""
    edges = np.unique(np.quantile(found.truth, np.linspace(0, 1, count + 1)))[1:-1]
    bounds = [-np.inf, *edges, np.inf]
    names = np.array(
        [
            f"{number}: {f'to {high:.4g}' if np.isinf(low) else f'from {low:.4g}'}"
            for number, (low, high) in enumerate(pairwise(bounds), 1)
        ]
    )
    return pd.DataFrame(
        {
            "actual": names[np.searchsorted(edges, found.truth, side="right")],
            "predicted": names[np.searchsorted(edges, found.value, side="right")],
        }
    )


def _figures(found: Numbers, config: Evaluation) -> dict[str, Any]:
    metrics = {name: asdict(interval) for name, interval in headline(found, config).items()}
    return {"examples": len(found.ids), "metrics": metrics}


def _by_part(found: Numbers, parts: list[str]) -> list[tuple[str, Numbers]]:
    names = dict(zip(found.ids, parts, strict=True))
    return [(part, found.only([name for name, own in names.items() if own == part])) for part in dict.fromkeys(parts)]


def _from_sums(sums: Floats) -> dict[str, Floats]:
    """The metrics (...) from the sums (..., 6) of what `headline` stacks.

    R2 is 1 - (squared error over squared deviation from the mean of the same examples); without any deviation it is 0.
    """
    absolute, squared, total, total_squared, widths, examples = (sums[..., place] for place in range(6))
    deviation = total_squared - total**2 / examples
    unexplained = np.divide(squared, deviation, out=np.ones_like(squared), where=deviation > 0)
    return {
        "mae": absolute / examples,
        "rmse": np.sqrt(squared / examples),
        "r2": 1 - unexplained,
        "interval_width": widths / examples,
    }
