"""The evaluation of a classifier, as it is written to evaluation.json and metrics.json."""

from dataclasses import asdict
from typing import Any

import numpy as np

from closedloop.config import Evaluation
from closedloop.data.partitions import is_feedback
from closedloop.errors import DataError
from closedloop.evaluation import metrics
from closedloop.evaluation.intervals import Interval, headline, wilson
from closedloop.evaluation.predictions import Predictions

HEADLINE = "accuracy"


def report(task: str, found: Predictions, parts: list[str], config: Evaluation) -> dict[str, Any]:
    """Headline metrics over all examples, accuracy by part and figures by class, each with its interval.

    `parts` names the part of the raw data that each example came from, in their order. With labelled feedback among
    them, `official` has the same figures for the official parts alone: they stay comparable as feedback comes.

    Raises DataError when a class has no official example: its recall, and with it macro F1, cannot be known.
    """
    official = found.only([name for name, part in zip(found.ids, parts, strict=True) if not is_feedback(part)])
    absent = [name for code, name in enumerate(official.classes) if not (official.labels == code).any()]
    if absent:
        raise DataError(
            f"the test split holds no example of {len(absent)} of {len(found.classes)} classes: "
            f"{', '.join(absent[:10])}; "
            "add some, enlarge preprocess.test_share, or take the class out of task.classes"
        )
    content = {
        "task": task,
        "confidence": config.confidence,
        "resamples": config.resamples,
        "seed": config.seed,
        "headline": HEADLINE,
        **_figures(found, config),
        "parts": part_rows(found, parts, config.confidence),
    }
    return content if len(official.ids) == len(found.ids) else {**content, "official": _figures(official, config)}


def _figures(found: Predictions, config: Evaluation) -> dict[str, Any]:
    return {
        "examples": len(found.ids),
        "metrics": {name: asdict(interval) for name, interval in headline(found, config).items()},
        "classes": class_rows(found, config.confidence),
    }


def part_rows(found: Predictions, parts: list[str], confidence: float) -> list[dict[str, Any]]:
    """Examples and accuracy with its score interval of each part, in the order in which the parts occur."""
    names, rows = np.array(parts), []
    for part in dict.fromkeys(parts):
        correct = found.correct[names == part]
        low, high = wilson(correct.sum(), len(correct), confidence)
        accuracy = Interval(float(correct.mean()), float(low), float(high), "Wilson score")
        rows.append({"part": part, "examples": len(correct), "accuracy": asdict(accuracy)})
    return rows


def class_rows(found: Predictions, confidence: float) -> list[dict[str, Any]]:
    """Support, precision, recall with its score interval, and F1 of each class, in the order of the classes."""
    confusion = metrics.confusion_matrix(found.labels, found.predicted, len(found.classes)).astype(np.float64)
    hits, support, predicted = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    low, high = wilson(hits, support, confidence)
    columns = {
        "precision": metrics.precision(hits, predicted),
        "recall": metrics.recall(hits, support),
        "recall_low": low,
        "recall_high": high,
        "f1": metrics.f1(hits, support, predicted),
    }
    return [
        {"class": name, "support": int(support[code]), **{key: float(column[code]) for key, column in columns.items()}}
        for code, name in enumerate(found.classes)
    ]


def flat(report: dict[str, Any]) -> dict[str, float]:
    """The headlines as one flat table, for `dvc metrics show` and `dvc metrics diff`."""
    rows: dict[str, float] = {}
    for name, interval in report["metrics"].items():
        rows |= {name: interval["value"], f"{name}_low": interval["low"], f"{name}_high": interval["high"]}
    rows["worst_class_recall"] = min(row["recall"] for row in report["classes"])
    return rows | {"baseline_accuracy": report["baseline"]["metrics"]["accuracy"]["value"]}
