"""A number, with an interval that holds it with a stated probability."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from closedloop.errors import DataError
from closedloop.targets.base import Rows

SMALLEST = 1e-6  # deviation, as a share of the mean
LONGEST = 40  # characters of a number as text


@dataclass(frozen=True)
class Number:
    """A row holds value, low and high, in the unit of the labels; the values of the training split are its scale."""

    mean: float
    deviation: float
    low: float  # the smallest and the largest label of the training split
    high: float
    coverage: float  # the share of labels that intervals are to hold

    @classmethod
    def fit(cls, labels: Sequence[str], coverage: float) -> "Number":
        """Raises DataError when all labels are equal, as far as a float32 tells them apart."""
        values = as_numbers(labels)
        mean, deviation = float(values.mean()), float(values.std())
        if not deviation > SMALLEST * max(abs(mean), 1e-30):
            raise DataError("the target has one value only in the training split: there is nothing to learn")
        return cls(mean, deviation, float(values.min()), float(values.max()), coverage)

    @property
    def width(self) -> int:
        return 3

    @property
    def scale(self) -> float:
        return self.deviation

    def flaw(self, label: str) -> str | None:
        return None if is_number(label) else "no finite number"

    def read(self, label: Any) -> str:
        if isinstance(label, bool) or not isinstance(label, str | int | float):
            raise ValueError("expected a number, or a string of one")
        return str(label)

    def encode(self, labels: Sequence[str], inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:  # noqa: ARG002
        """In deviations from the mean."""
        return ((as_numbers(labels) - self.mean) / self.deviation).astype(np.float32)

    def check_rows(self, rows: Rows) -> None:
        for row in rows:
            if not (-math.inf < row[1] <= row[0] <= row[2] < math.inf):  # with NaN no comparison holds
                raise DataError("what it answers are no finite numbers with an interval around each")

    def shown(self, row: list[float]) -> dict[str, Any]:
        return {"value": row[0], "low": row[1], "high": row[2]}

    def row(self, shown: dict[str, Any]) -> list[float]:
        return [shown["value"], shown["low"], shown["high"]]

    def logged(self, row: list[float]) -> tuple[str, float]:
        return repr(row[0]), row[2] - row[1]

    def contradicts(self, label: str, prediction: str, row: list[float]) -> bool | None:  # noqa: ARG002
        """Whether the label lies farther outside the interval than that is wide."""
        _, low, high = row
        return not low - (high - low) <= float(label) <= high + (high - low)

    def counted(self, prediction: str) -> str:  # noqa: ARG002  each is another
        return "number"

    def answer_schema(self) -> dict[str, Any]:
        held = f"the interval from low to high was made to hold {self.coverage:.0%} of the true values"
        return {
            "value": {
                "type": "number",
                "description": f"from {self.low:g} to {self.high:g} in training; {held}",
                "examples": [round(self.mean, 3)],
            },
            "low": {"type": "number"},
            "high": {"type": "number"},
        }

    def label_schema(self) -> dict[str, Any]:
        return {
            "oneOf": [{"type": "number"}, {"type": "string", "maxLength": LONGEST}],
            "description": "the true value, as a number or as its text",
            "examples": [round(self.mean, 3)],
        }

    def to_json(self) -> dict[str, Any]:
        return {"number": asdict(self)}


def is_number(text: str) -> bool:
    """Whether a text is a finite decimal number, as JSON would have it."""
    if len(text) > LONGEST or "_" in text:
        return False
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def as_numbers(labels: Sequence[str]) -> NDArray[np.float64]:
    """Labels (N,) as numbers; each must be one."""
    return np.array([float(label) for label in labels], np.float64)
