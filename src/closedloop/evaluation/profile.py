"""What drift is judged on: how examples looked to the deployed model, and what it said about them."""

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.data.examples import ID, LABEL
from closedloop.tasks.base import Task

PREDICTION, CONFIDENCE, VERSION = "prediction", "confidence", "version"


def profile(task: Task, examples: pa.Table, probabilities: NDArray[np.float64], classes: list[str]) -> pd.DataFrame:
    """One row an example: id, the task's descriptors, prediction (class name), confidence in it, label or None.

    `probabilities` is (N, classes), in the order of the examples and of `classes`.
    Raises ValueError when the numbers of rows or classes differ.
    """
    if probabilities.shape != (examples.num_rows, len(classes)):
        raise ValueError(f"{examples.num_rows} examples of {len(classes)} classes, probabilities {probabilities.shape}")
    best = probabilities.argmax(axis=1)
    labels = examples.column(LABEL).to_pylist() if LABEL in examples.column_names else [None] * examples.num_rows
    frame = task.describe(examples)
    frame.insert(0, ID, pd.Series(examples.column(ID).to_pylist(), dtype=object))
    frame[PREDICTION] = np.array(classes, object)[best]
    frame[CONFIDENCE] = probabilities[np.arange(len(best)), best].astype(np.float64)
    frame[LABEL] = pd.Series(labels, dtype=object)
    return frame
