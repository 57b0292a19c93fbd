"""What the network is worth: a strong simple model of the same training split on the same test examples."""

from dataclasses import asdict
from typing import Any, Literal

import pyarrow as pa

from closedloop.config import Evaluation
from closedloop.evaluation.comparison import MIN_RESAMPLED, compare
from closedloop.evaluation.intervals import headline
from closedloop.evaluation.predictions import Predictions
from closedloop.tasks.base import Baseline


def against_baseline(found: Predictions, baseline: Baseline, examples: pa.Table, config: Evaluation) -> dict[str, Any]:
    """The baseline's metrics, and the network's gain over it on the same examples, pair by pair.

    Raises DataError when the baseline's answers are no probabilities of the classes.
    """
    simple = Predictions.of(examples, baseline.probabilities, found.classes)
    metrics: list[Literal["accuracy", "log_loss"]] = ["accuracy"]
    if len(found.ids) >= MIN_RESAMPLED:
        metrics.append("log_loss")
    return {
        "name": baseline.name,
        "metrics": {name: asdict(interval) for name, interval in headline(simple, config).items()},
        "gains": {metric: asdict(compare(found, simple, metric, config.confidence)) for metric in metrics},
    }
