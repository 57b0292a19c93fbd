"""Is the challenger better than the champion on live traffic? In shadow pair by pair, as a canary on its own share."""

import math

import numpy as np
import pyarrow as pa
from scipy import sparse

from closedloop.data.examples import ID, LABEL
from closedloop.errors import DataError
from closedloop.evaluation.answers import Answers, answers_of
from closedloop.evaluation.comparison import MIN_RESAMPLED, Comparison
from closedloop.evaluation.intervals import resampled_sums, wilson
from closedloop.evaluation.predictions import Predictions
from closedloop.targets import Target

# Comparisons in shadow are those of evaluation.comparison: the same requests, and so pairs.


def logged_answers(ids: list[str], labels: list[str], rows: list[list[float]], target: Target) -> Answers:
    """Logged answers (N, width) as those that can be compared.

    Raises DataError when there are none, a label cannot be one, or rows are no answers of the target.
    """
    if any(len(row) != target.width for row in rows):
        raise DataError(f"some logged answers do not have the {target.width} columns of their version")
    table = pa.table({ID: pa.array(ids, pa.string()), LABEL: pa.array(labels, pa.string())})
    return answers_of(table, np.array(rows, np.float64).reshape(len(ids), target.width), target)


def compare_unpaired(
    challenger: Answers,
    champion: Answers,
    metric: str,
    confidence: float,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare two models' predictions on different examples of the same traffic.

    accuracy: Newcombe's interval. Other metrics: the percentile interval of a bootstrap of both samples. `examples`
    counts the challenger's.

    Raises DataError when the targets differ, or when the examples are too few for a bootstrap.
    """
    if isinstance(challenger, Predictions) and isinstance(champion, Predictions):
        champion.require_alike(challenger)
    elif type(challenger) is not type(champion):
        raise DataError("challenger and champion do not tell the same kind of thing: they cannot be compared")
    ours, theirs = len(challenger.ids), len(champion.ids)
    if metric == "accuracy" and isinstance(challenger, Predictions) and isinstance(champion, Predictions):
        won, held = int(challenger.correct.sum()), int(champion.correct.sum())
        scores, gain = (won / ours, held / theirs), won / ours - held / theirs
        low, high = newcombe(won, ours, held, theirs, confidence)
        method = "Newcombe's hybrid score interval of independent proportions"
    else:
        if min(ours, theirs) < MIN_RESAMPLED:
            raise DataError(
                f"{ours} and {theirs} examples are too few to compare {metric}: at least {MIN_RESAMPLED} of each are "
                "needed; wait for more labels, or of classes set gate.metric to accuracy"
            )
        losses = [found.losses(metric) for found in (challenger, champion)]
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
