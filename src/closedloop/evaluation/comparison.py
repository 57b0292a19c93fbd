"""Is the challenger better than the champion? Judged on the same examples, pair by pair."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from closedloop.errors import DataError
from closedloop.evaluation.answers import Answers
from closedloop.evaluation.intervals import blurred, normal_quantile, resampled_sums
from closedloop.evaluation.numbers import Numbers
from closedloop.evaluation.outcomes import Outcomes, as_score
from closedloop.evaluation.predictions import Predictions

MIN_RESAMPLED = 30  # pairs; a bootstrap of fewer has intervals that are far too short


@dataclass(frozen=True)
class Comparison:
    """The challenger's gain over the champion on the same examples; positive is better, whatever the metric."""

    metric: str
    examples: int
    challenger: float
    champion: float
    gain: float
    low: float
    high: float
    confidence: float
    method: str


def compare(
    challenger: Answers,
    champion: Answers,
    metric: str,
    confidence: float,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare two models' predictions on one set of examples.

    accuracy: more correct answers, with Tango's score interval for paired proportions. Any other metric is a mean of
    losses, of which there should be less, or of returns, of which there should be more, with the paired bootstrap's
    percentile interval, and the noise of what each has made. Rows may stand in another order.

    Raises DataError when examples, labels or targets differ, or when the examples are too few for a bootstrap.
    """
    champion = _paired(challenger, champion)
    pairs = len(challenger.ids)
    if metric == "accuracy" and isinstance(challenger, Predictions) and isinstance(champion, Predictions):
        won = int((challenger.correct & ~champion.correct).sum())
        lost = int((champion.correct & ~challenger.correct).sum())
        low, high = tango(won, lost, pairs, confidence)
        scores, gain = (float(challenger.correct.mean()), float(champion.correct.mean())), (won - lost) / pairs
        method = f"Tango score interval of paired proportions, {won} examples won and {lost} lost"
    else:
        if pairs < MIN_RESAMPLED:
            raise DataError(
                f"{pairs} test examples are too few to compare {metric}: at least {MIN_RESAMPLED} are needed; "
                "enlarge the test split, or of classes set gate.metric to accuracy"
            )
        losses, champion_losses = challenger.losses(metric), champion.losses(metric)
        gains = champion_losses - losses
        means = resampled_sums(sparse.csr_array(gains[:, None]), resamples, seed)[:, 0] / pairs
        noise = [found.noise for found in (challenger, champion) if isinstance(found, Outcomes)]
        means = blurred(means, math.hypot(*noise), seed)
        low, high = (float(q) for q in np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2]))
        scores = (as_score(metric, float(losses.mean())), as_score(metric, float(champion_losses.mean())))
        gain = float(gains.mean())
        method = "paired bootstrap percentile" + (", with the noise of what was made" if any(noise) else "")
    return Comparison(metric, pairs, *scores, gain, min(low, gain), max(high, gain), confidence, method)


def proven(low: float, high: float) -> str:
    """What the interval of a gain proves, in words."""
    return "better" if low > 0 else "worse" if high < 0 else "no proven difference"


def _paired(challenger: Answers, champion: Answers) -> Answers:
    """The champion's predictions in the order of the challenger's examples."""
    for who, ids in (("challenger", challenger.ids), ("champion", champion.ids)):
        if len(set(ids)) != len(ids):
            raise DataError(f"the {who}'s predictions name an example twice: they cannot be paired")
    if set(challenger.ids) != set(champion.ids):
        only = len(set(challenger.ids) ^ set(champion.ids))
        raise DataError(f"challenger and champion were not run on the same examples: {only} have no partner")
    place = {name: row for row, name in enumerate(champion.ids)}
    rows = np.array([place[name] for name in challenger.ids], np.intp)
    if isinstance(challenger, Predictions) and isinstance(champion, Predictions):
        return champion.paired_with(challenger, rows)
    if isinstance(challenger, Numbers) and isinstance(champion, Numbers):
        return champion.paired_with(challenger, rows)
    if isinstance(challenger, Outcomes) and isinstance(champion, Outcomes):
        return champion.paired_with(challenger, rows)
    raise DataError("challenger and champion do not tell the same kind of thing: they cannot be compared")


def tango(won: int, lost: int, pairs: int, confidence: float) -> tuple[float, float]:
    """Score interval of the difference between two paired proportions, (won - lost) / pairs.

    Tango 1998, Statistics in Medicine 17:891-908. It holds its level with few discordant pairs, has a width where
    there are none, and lies above 0 exactly when McNemar's test without correction is significant.
    """
    z = normal_quantile(confidence)

    def score(difference: float) -> float:
        """Deviations between the observed difference and this one; falls as the difference rises."""
        # the probability of losing a pair under this difference, by maximum likelihood: the root of a quadratic
        b = -won - lost + (2 * pairs - won + lost) * difference
        c = -lost * difference * (1 - difference)
        root = np.sqrt(max(b * b - 8 * pairs * c, 0))
        losing = (root - b) / (4 * pairs) if b <= 0 else -2 * c / (root + b)  # equal; neither loses digits there
        variance = pairs * (2 * losing + difference * (1 - difference))
        distance = won - lost - pairs * difference
        return float(distance / np.sqrt(variance)) if variance > 0 else float(np.sign(distance)) * np.inf

    gain = (won - lost) / pairs
    low = -1.0 if won == 0 and lost == pairs else _crossing(lambda d: score(d) - z, -1.0, gain)
    high = 1.0 if lost == 0 and won == pairs else _crossing(lambda d: score(d) + z, gain, 1.0)
    return low, high


def _crossing(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function crosses 0 between two bounds, by bisection to the last bit that matters."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2
