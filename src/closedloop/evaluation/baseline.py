"""What the network is worth: a strong simple model of the same training split on the same test examples."""

from dataclasses import asdict
from typing import Any

import pyarrow as pa

from closedloop.config import Evaluation
from closedloop.evaluation import language, regression
from closedloop.evaluation.answers import Answers, answers_of, metrics_of
from closedloop.evaluation.comparison import MIN_RESAMPLED, compare
from closedloop.evaluation.intervals import Interval, headline
from closedloop.evaluation.numbers import Numbers
from closedloop.evaluation.passages import Passages
from closedloop.targets import Target
from closedloop.tasks.base import Baseline


def headline_of(found: Answers, config: Evaluation) -> dict[str, Interval]:
    """The headline metrics of any kind of answers."""
    if isinstance(found, Numbers):
        return regression.headline(found, config)
    return language.headline(found, config) if isinstance(found, Passages) else headline(found, config)


def against_baseline(
    found: Answers, baseline: Baseline, examples: pa.Table, target: Target, config: Evaluation
) -> dict[str, Any]:
    """The baseline's metrics, and the network's gain over it on the same examples, pair by pair.

    Raises DataError when the baseline's answers are none of the target.
    """
    simple = answers_of(examples, baseline.rows, target)
    intervals = headline_of(simple, config)
    many = len(found.ids) >= MIN_RESAMPLED
    metrics = [metric for metric in metrics_of(found) if many or metric == "accuracy"]
    return {
        "name": baseline.name,
        "metrics": {name: asdict(interval) for name, interval in intervals.items()},
        "gains": {metric: asdict(compare(found, simple, metric, config.confidence)) for metric in metrics},
    }
