"""The digits as a deployed model saw and answered them; the model is a small stand-in."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from closedloop.data.array_columns import to_column
from closedloop.evaluation.profile import profile
from closedloop.targets import Classes
from closedloop.tasks import get_task
from closedloop.tasks.images.request import pixels

TARGET = Classes(tuple(str(digit) for digit in range(10)))


@dataclass(frozen=True)
class StandIn:
    """Answers as serving.predictor.Predictor does."""

    model: Any

    @property
    def target(self) -> Classes:
        return TARGET

    def answers(self, examples: pa.Table) -> NDArray[np.float64]:
        answers: NDArray[np.float64] = self.model.predict_proba(_flat(examples))
        return answers


@dataclass(frozen=True)
class Digits:
    predictor: StandIn
    test: pa.Table
    production: pa.Table

    def profile(self, examples: pa.Table) -> pd.DataFrame:
        return profile(get_task("images"), examples, self.predictor.answers(examples), self.predictor.target)

    @property
    def reference(self) -> pd.DataFrame:
        return self.profile(self.test)

    def window(self, scenario: str, severity: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        drawn = self.production.take(pa.array(rng.choice(self.production.num_rows, 300, replace=False)))
        return self.profile(get_task("images").shift(drawn, scenario, severity, rng))


def _flat(examples: pa.Table) -> NDArray[np.float64]:
    return pixels(examples).reshape(examples.num_rows, -1) / 255


def _table(data: Any, rows: NDArray[np.int64]) -> pa.Table:
    images = np.round(data.images[rows] * 255 / 16).astype(np.uint8)
    ids, labels = [f"all-{row:06d}" for row in rows], [str(label) for label in data.target[rows]]
    return pa.table({"id": ids, "image": to_column(images), "label": labels})


@pytest.fixture(scope="session")
def answered() -> Digits:
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    train, test, production = (_table(data, rows) for rows in np.split(order, [1000, 1400]))
    model = LogisticRegression(max_iter=300).fit(_flat(train), train.column("label").to_pylist())
    return Digits(StandIn(model), test, production)
