"""A profile says how examples looked and what the model answered."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from closedloop.evaluation.profile import profile
from closedloop.tasks import get_task

TASK = get_task("images")


def test_a_row_holds_the_answer_with_its_confidence_and_the_label(answered: Any) -> None:
    examples = answered.test.slice(0, 3)
    probabilities = np.full((3, 10), 0.05)
    probabilities[[0, 1, 2], [7, 0, 9]] = 0.55
    frame = profile(TASK, examples, probabilities, answered.predictor.target)
    assert list(frame["id"]) == examples.column("id").to_pylist()
    assert list(frame["prediction"]) == ["7", "0", "9"]
    assert list(frame["confidence"]) == [0.55] * 3
    assert list(frame["label"]) == examples.column("label").to_pylist()
    assert frame["brightness"].to_numpy() == pytest.approx(TASK.describe(examples)["brightness"].to_numpy())


def test_without_labels_the_column_is_there_and_empty(answered: Any) -> None:
    examples = answered.test.slice(0, 3).drop_columns(["label"])
    frame = profile(TASK, examples, answered.predictor.answers(examples), answered.predictor.target)
    assert list(frame["label"]) == [None, None, None]


def test_it_survives_parquet(answered: Any, tmp_path: Any) -> None:
    frame = answered.reference
    frame.to_parquet(tmp_path / "profile.parquet", index=False)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "profile.parquet"), frame)


def test_answers_to_other_examples_are_refused(answered: Any) -> None:
    with pytest.raises(ValueError, match="3 examples, 10 columns"):
        profile(TASK, answered.test.slice(0, 3), np.ones((4, 10)), answered.predictor.target)
