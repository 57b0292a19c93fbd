from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from closedloop.data.examples import ID, LABEL
from closedloop.errors import DataError
from closedloop.evaluation.calibration import reliability
from closedloop.evaluation.predictions import Predictions

EXAMPLES = pa.table({ID: ["e1", "e2", "e3"], LABEL: ["cat", "dog", "cat"]})
PROBABILITIES = np.array([[0.7, 0.3], [0.6, 0.4], [0.5, 0.5]])


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    found = Predictions.of(EXAMPLES, PROBABILITIES, ["cat", "dog"])
    found.write(tmp_path / "predictions.parquet")
    read = Predictions.read(tmp_path / "predictions.parquet")
    assert (read.ids, read.classes) == (found.ids, found.classes)
    np.testing.assert_array_equal(read.labels, [0, 1, 0])
    np.testing.assert_array_equal(read.probabilities, PROBABILITIES)
    np.testing.assert_array_equal(read.predicted, [0, 0, 0])  # of equals, the first


@pytest.mark.parametrize("bad", [[np.nan, 0.5], [np.inf, 0], [-0.2, 1.2], [0.2, 0.2]])
def test_answers_that_are_no_probabilities_are_refused_by_name(bad: list[float]) -> None:
    probabilities = PROBABILITIES.copy()
    probabilities[1] = bad
    with pytest.raises(DataError, match=r"1 of 3 answers are not probabilities.*first for e2"):
        Predictions.of(EXAMPLES, probabilities, ["cat", "dog"])


def test_answers_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError, match=r"shape \(3, 2\) to 3 examples of 3 classes"):
        Predictions.of(EXAMPLES, PROBABILITIES, ["cat", "dog", "cow"])


def test_an_unknown_label_is_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"1 examples have a label that is no class, first e2 \('dog'\)"):
        Predictions.of(EXAMPLES, PROBABILITIES, ["cat", "cow"])


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(DataError, match="empty"):
        Predictions.of(EXAMPLES.slice(0, 0), PROBABILITIES[:0], ["cat", "dog"])


def test_the_reliability_table_counts_every_example_once() -> None:
    table = reliability(Predictions.of(EXAMPLES, PROBABILITIES, ["cat", "dog"]), bins=10, confidence=0.9)
    assert table["examples"].tolist() == [1, 1, 1]
    assert table["accuracy"].tolist() == [1, 0, 1]
    assert table["confidence"].tolist() == [0.5, 0.6, 0.7]
    assert (table["accuracy_low"] < table["accuracy_high"]).all()
