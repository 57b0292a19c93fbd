"""Is the challenger better than the champion on live traffic? In shadow pair by pair, as a canary on its own share."""

import math
from typing import Literal

import numpy as np
import pyarrow as pa
from scipy import sparse

from closedloop.data.examples import ID, LABEL
from closedloop.errors import DataError
from closedloop.evaluation.comparison import MIN_RESAMPLED, Comparison
from closedloop.evaluation.intervals import resampled_sums, wilson
from closedloop.evaluation.metrics import log_losses
from closedloop.evaluation.predictions import Predictions

# Comparisons in shadow are those of evaluation.comparison: the same requests, and so pairs.


def predictions(ids: list[str], labels: list[str], probabilities: list[list[float]], classes: list[str]) -> Predictions:
    """Logged answers (N, classes) as the predictions that can be compared.

    Raises DataError when there are none, a label is no class, or rows are no probabilities of these classes.
    """
    if any(len(row) != len(classes) for row in probabilities):
        raise DataError(f"some logged answers do not have one probability for each of the {len(classes)} classes")
    table = pa.table({ID: pa.array(ids, pa.string()), LABEL: pa.array(labels, pa.string())})
    return Predictions.of(table, np.array(probabilities, np.float64).reshape(len(ids), len(classes)), classes)


def compare_unpaired(
    challenger: Predictions,
    champion: Predictions,
    metric: Literal["accuracy", "log_loss"],
    confidence: float,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare two models' predictions on different examples of the same traffic.

    accuracy: Newcombe's interval. log_loss: the percentile interval of a bootstrap of both samples. `examples` counts
    the challenger's.

    Raises DataError when the classes differ, or when the examples are too few for a bootstrap.
    """
    if set(challenger.classes) != set(champion.classes):
        raise DataError(
            f"challenger and champion do not tell the same classes apart: "
            f"{', '.join(challenger.classes)} against {', '.join(champion.classes)}"
        )
    ours, theirs = len(challenger.ids), len(champion.ids)
    if metric == "accuracy":
        won, held = int(challenger.correct.sum()), int(champion.correct.sum())
        scores, gain = (won / ours, held / theirs), won / ours - held / theirs
        low, high = newcombe(won, ours, held, theirs, confidence)
        method = "Newcombe's hybrid score interval of independent proportions"
    else:
        if min(ours, theirs) < MIN_RESAMPLED:
            raise DataError(
                f"{ours} and {theirs} examples are too few to compare log losses: at least {MIN_RESAMPLED} of each are "
                "needed; set gate.metric to accuracy or wait for more labels"
            )
        losses = [log_losses(found.labels, found.probabilities) for found in (challenger, champion)]
        means = [
            resampled_sums(sparse.csr_array(loss[:, None]), resamples, seed + sample)[:, 0] / len(loss)
            for sample, loss in enumerate(losses)
        ]
        low, high = (float(q) for q in np.quantile(means[1] - means[0], [(1 - confidence) / 2, (1 + confidence) / 2]))
        scores = (float(losses[0].mean()), float(losses[1].mean()))
        gain = scores[1] - scores[0]
        method = "bootstrap percentile of two samples"
    method = f"{method}, {ours} answers against {theirs}"
    return Comparison(metric, ours, *scores, gain, min(low, gain), max(high, gain), confidence, method)


def newcombe(won: int, ours: int, held: int, theirs: int, confidence: float) -> tuple[float, float]:
    """Interval of the difference won / ours - held / theirs between two independent proportions.

    Method 10 of Newcombe 1998, Statistics in Medicine 17:873-890: from the Wilson intervals of both; it has an honest
    width also where all trials succeed.
    """
    lows, highs = wilson([won, held], [ours, theirs], confidence)
    p, q = won / ours, held / theirs
    below = math.hypot(p - lows[0], highs[1] - q)
    above = math.hypot(highs[0] - p, q - lows[1])
    return p - q - below, p - q + above


def look_confidence(confidence: float, look: int) -> float:
    """The confidence of the k-th look (from 1) at evidence that grows, so that all looks together keep the level.

    Who looks often enough finds a difference by chance. The chances of error (1 - confidence) 6 / (pi k)^2 add up to
    1 - confidence over any number of looks (Bonferroni's inequality), and the intervals still narrow with the evidence.
    """
    return 1 - (1 - confidence) * 6 / (math.pi * look) ** 2
