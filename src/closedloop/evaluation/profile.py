"""What drift is judged on: how examples looked to the deployed model, and what it said about them."""

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.data.examples import ID, LABEL
from closedloop.evaluation.outcomes import NATS, RETURN
from closedloop.targets import Action, Image, Number, Target, Text
from closedloop.tasks.base import Task

PREDICTION, CONFIDENCE, VERSION = "prediction", "confidence", "version"
WIDTH = "interval width"  # of numbers, in place of the confidence
REALISM = "realism"  # of images, to the model that makes others of their kind


def profile(task: Task, examples: pa.Table, rows: NDArray[np.float64], target: Target) -> pd.DataFrame:
    """One row an example: id, the task's descriptors, prediction, how sure it is, label or None.

    `rows` are the answers (N, width), in the order of the examples. A class has a confidence, a number a width of its
    interval. Raises ValueError when the shapes differ.
    """
    if rows.shape != (examples.num_rows, target.width):
        raise ValueError(f"{examples.num_rows} examples, {target.width} columns; answers {rows.shape}")
    logged = [target.logged(row) for row in rows.tolist()]
    known = LABEL in examples.column_names and not isinstance(target, Action)  # which has none
    labels = examples.column(LABEL).to_pylist() if known else [None] * examples.num_rows
    frame = task.describe(examples)
    frame.insert(0, ID, pd.Series(examples.column(ID).to_pylist(), dtype=object))
    add_answers(frame, [prediction for prediction, _ in logged], [sure for _, sure in logged], target)
    frame[LABEL] = pd.Series(labels, dtype=object)
    if RETURN in examples.column_names:
        frame[RETURN] = examples.column(RETURN).to_numpy()
    return frame


def add_answers(frame: pd.DataFrame, predictions: list[str], sure: list[float], target: Target) -> None:
    """Add what the model said, as the prediction log has it: text for classes, float64 for numbers."""
    if isinstance(target, Number):
        frame[PREDICTION] = np.array(predictions, np.float64)
        frame[WIDTH] = np.array(sure, np.float64)
    elif isinstance(target, Image):
        frame[REALISM] = np.array(sure, np.float64)
    elif isinstance(target, Text):
        frame[NATS] = np.array(sure, np.float64)
    else:
        frame[PREDICTION] = pd.Series(predictions, dtype=object)
        frame[CONFIDENCE] = np.array(sure, np.float64)
