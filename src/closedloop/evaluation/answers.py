"""What a model is judged by, whatever its target: predictions of classes, of numbers, or one figure an example."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.data.examples import read_examples
from closedloop.evaluation.numbers import LOW, Numbers
from closedloop.evaluation.outcomes import METRICS, NATS, Outcomes
from closedloop.evaluation.predictions import Predictions
from closedloop.targets import Number, Target, Text

Answers = Predictions | Numbers | Outcomes


def answers_of(examples: pa.Table, rows: NDArray[np.float64], target: Target) -> Answers:
    """Put a model's answers (N, width) beside the labels of the examples.

    Raises DataError for an empty table, a label that cannot be one, and rows that do not match or are no answers; it
    names the first such example.
    """
    if isinstance(target, Number):
        return Numbers.of(examples, rows, target)
    if isinstance(target, Text):
        target.check_rows(rows.tolist())
        return Outcomes.of(examples, rows.reshape(-1), NATS)  # rows of more than one figure are too many
    return Predictions.of(examples, rows, target.to_json()["classes"])


def read_answers(path: Path) -> Answers:
    """Read what `write` wrote; raises DataError when it is missing, broken or empty."""
    table = read_examples(path)
    if set(METRICS) & set(table.column_names):
        return Outcomes.from_table(table)
    return Numbers.from_table(table) if LOW in table.column_names else Predictions.read(path)


def metrics_of(found: Answers) -> tuple[str, ...]:
    """What two models are compared on, the one that heads a report first."""
    if isinstance(found, Outcomes):
        return (found.metric,)
    return ("mae", "mse") if isinstance(found, Numbers) else ("accuracy", "log_loss")
