"""The baseline that a network for images has to beat."""

from typing import Any

import numpy as np
import pyarrow as pa

from closedloop.data.examples import LABEL, labels
from closedloop.tasks import get_task


def test_nearest_neighbours_know_most_scanned_digits_and_their_answers_are_probabilities(digits: Any) -> None:
    task = get_task("images")
    table = task.read(digits.paths.raw, digits.params)
    found = task.baseline(table.slice(0, 1200), table.slice(1200), digits.params)
    assert found.name == "3 nearest neighbours"
    np.testing.assert_allclose(found.rows.sum(axis=1), 1)
    assert (found.rows > 0).all()
    said = np.array(digits.params.task.classes)[found.rows.argmax(axis=1)]
    assert 0.94 < (said == np.array(labels(table.slice(1200)))).mean() < 1


def test_a_class_without_training_images_is_unlikely_and_not_impossible(digits: Any) -> None:
    task = get_task("images")
    table = task.read(digits.paths.raw, digits.params)
    without = table.filter(pa.array([name != "0" for name in table.column(LABEL).to_pylist()]))
    found = task.baseline(without, table.slice(0, 5), digits.params)
    assert (found.rows[:, 0] > 0).all() and (found.rows[:, 0] < 0.1).all()
