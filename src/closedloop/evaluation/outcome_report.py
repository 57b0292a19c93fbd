"""What is the same in the report on any model that is judged by one figure an example."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pandas as pd
from scipy import sparse

from closedloop.config import Evaluation
from closedloop.evaluation.intervals import Interval, blurred, percentile, resampled_sums
from closedloop.evaluation.outcomes import Outcomes

Headline = Callable[[Outcomes, Evaluation], dict[str, Interval]]


def report(task: str, found: Outcomes, parts: list[str], config: Evaluation, headline: Headline) -> dict[str, Any]:
    """Headline metrics over all examples, and the mean figure by part, each with its interval.

    `parts` names the part of the raw data that each example came from, in their order.
    """
    names = dict(zip(found.ids, parts, strict=True))
    by_part = {part: found.only([name for name, own in names.items() if own == part]) for part in dict.fromkeys(parts)}
    return {
        "task": task,
        "confidence": config.confidence,
        "resamples": config.resamples,
        "seed": config.seed,
        "headline": found.metric,
        "examples": len(found.ids),
        "metrics": {name: asdict(interval) for name, interval in headline(found, config).items()},
        "parts": [
            {"part": part, "examples": len(some.ids), found.metric: asdict(mean(some, config))}
            for part, some in by_part.items()
        ],
    }


def mean(found: Outcomes, config: Evaluation) -> Interval:
    """The mean figure; examples are resampled, and what was made adds its noise."""
    sums = resampled_sums(sparse.csr_array(found.values[:, None]), config.resamples, config.seed)[:, 0]
    means = blurred(sums / len(found.ids), found.noise, config.seed)
    return percentile(float(found.values.mean()), means, config.confidence)


def flat(report: dict[str, Any]) -> dict[str, float]:
    """The headlines as one flat table, for `dvc metrics show` and `dvc metrics diff`."""
    rows: dict[str, float] = {}
    for name, interval in report["metrics"].items():
        rows |= {name: interval["value"], f"{name}_low": interval["low"], f"{name}_high": interval["high"]}
    headline = report["headline"]
    return rows | {f"baseline_{headline}": report["baseline"]["metrics"][headline]["value"]}


def by_example(found: Outcomes) -> pd.DataFrame:
    """A row an example, in their order."""
    return pd.DataFrame({"example": range(len(found.ids)), found.metric: found.values})
