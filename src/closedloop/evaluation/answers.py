"""Predictions of any kind of target: about classes, about numbers, about how a text goes on."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.data.examples import read_examples
from closedloop.evaluation.numbers import LOW, Numbers
from closedloop.evaluation.passages import NATS, Passages
from closedloop.evaluation.predictions import Predictions
from closedloop.targets import Number, Target, Text

Answers = Predictions | Numbers | Passages


def answers_of(examples: pa.Table, rows: NDArray[np.float64], target: Target) -> Answers:
    """Put a model's answers (N, width) beside the labels of the examples.

    Raises DataError for an empty table, a label that cannot be one, and rows that do not match or are no answers; it
    names the first such example.
    """
    if isinstance(target, Number):
        return Numbers.of(examples, rows, target)
    if isinstance(target, Text):
        return Passages.of(examples, rows, target)
    return Predictions.of(examples, rows, target.to_json()["classes"])


def read_answers(path: Path) -> Answers:
    """Read what `write` wrote; raises DataError when it is missing, broken or empty."""
    table = read_examples(path)
    if NATS in table.column_names:
        return Passages.from_table(table)
    return Numbers.from_table(table) if LOW in table.column_names else Predictions.read(path)


def metrics_of(found: Answers) -> tuple[str, ...]:
    """What two models are compared on, the one that heads a report first."""
    if isinstance(found, Passages):
        return (NATS,)
    return ("mae", "mse") if isinstance(found, Numbers) else ("accuracy", "log_loss")
