"""What the network is worth: a strong simple model of the same training split on the same test examples."""

from dataclasses import asdict
from typing import Any

from closedloop.config import Evaluation
from closedloop.evaluation import control, generation, language, regression
from closedloop.evaluation.answers import Answers, metrics_of
from closedloop.evaluation.comparison import MIN_RESAMPLED, compare
from closedloop.evaluation.intervals import Interval, headline
from closedloop.evaluation.numbers import Numbers
from closedloop.evaluation.outcomes import ENERGY, NATS, RETURN, Outcomes

HEADLINES = {NATS: language.headline, ENERGY: generation.headline, RETURN: control.headline}


def headline_of(found: Answers, config: Evaluation) -> dict[str, Interval]:
    """The headline metrics of any kind of answers."""
    if isinstance(found, Numbers):
        return regression.headline(found, config)
    return HEADLINES[found.metric](found, config) if isinstance(found, Outcomes) else headline(found, config)


def against_baseline(found: Answers, name: str, simple: Answers, config: Evaluation) -> dict[str, Any]:
    """The metrics of the baseline of that name, and the network's gain over it on the same examples, pair by pair."""
    intervals = headline_of(simple, config)
    many = len(found.ids) >= MIN_RESAMPLED
    metrics = [metric for metric in metrics_of(found) if many or metric == "accuracy"]
    return {
        "name": name,
        "metrics": {name: asdict(interval) for name, interval in intervals.items()},
        "gains": {metric: asdict(compare(found, simple, metric, config.confidence)) for metric in metrics},
    }
