"""The baseline that a network for sounds has to beat, on real recordings."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from closedloop.data.examples import LABEL, labels
from closedloop.sources.acquire import acquire
from closedloop.tasks.sounds.task import TASK


def of_part(table: pa.Table, part: str) -> pa.Table:
    return table.filter(pa.array([name == part for name in table.column("part").to_pylist()]))


def test_logistic_regression_knows_most_spoken_digits_and_its_answers_are_probabilities(
    make_project: Any, mirror: Path
) -> None:
    assert mirror.is_dir()
    project = make_project("spoken_digits")
    acquire(project.params, project.paths)
    table = TASK.read(project.paths.raw, project.params)
    train, test = of_part(table, "train"), of_part(table, "test")
    assert (train.num_rows, test.num_rows) == (2700, 300)
    some = train.slice(0, 900).filter(pa.array([name != "0" for name in labels(train.slice(0, 900))]))
    for seen, least in ((train, 0.9), (some, 0)):
        found = TASK.baseline(seen, test, project.params)
        assert found.name == "logistic regression on pooled log-mel levels"
        np.testing.assert_allclose(found.rows.sum(axis=1), 1)
        assert (found.rows > 0).all()
        said = np.array(project.params.task.classes)[found.rows.argmax(axis=1)]
        assert (said == np.array(test.column(LABEL).to_pylist())).mean() > least
