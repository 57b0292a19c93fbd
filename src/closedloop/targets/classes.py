"""One of several classes, with the probability of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from closedloop.errors import DataError
from closedloop.targets.base import Rows

TOLERANCE = 1e-3  # of the sum of a row of probabilities
PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1, "examples": [0.1]}
SURE = 0.99  # confidence of an answer that a label had better not contradict
NAMED = 10


@dataclass(frozen=True)
class Classes:
    """A row holds the probability of each class, in their order."""

    names: tuple[str, ...]

    @property
    def width(self) -> int:
        return len(self.names)

    @property
    def scale(self) -> float:
        return 1.0

    def flaw(self, label: str) -> str | None:
        if label in self._known:
            return None
        rest = f" and {len(self.names) - NAMED} more" if len(self.names) > NAMED else ""
        return f"not one of the classes {', '.join(self.names[:NAMED])}{rest}"

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.names)

    def read(self, label: Any) -> str:
        if not isinstance(label, str):
            raise ValueError("expected a string")
        return label

    def encode(self, labels: Sequence[str], inputs: dict[str, NDArray[Any]]) -> NDArray[np.int64]:  # noqa: ARG002
        index = {name: code for code, name in enumerate(self.names)}
        return np.array([index[label] for label in labels], np.int64)

    def check_rows(self, rows: Rows) -> None:
        for row in rows:
            if not (abs(sum(row) - 1) <= TOLERANCE and min(row) >= 0):  # with NaN no comparison holds
                raise DataError("what it answers are not probabilities")

    def shown(self, row: list[float]) -> dict[str, Any]:
        prediction, confidence = self.logged(row)
        return {
            "class": prediction,
            "confidence": confidence,
            "probabilities": dict(zip(self.names, row, strict=True)),
        }

    def row(self, shown: dict[str, Any]) -> list[float]:
        return [shown["probabilities"][name] for name in self.names]

    def logged(self, row: list[float]) -> tuple[str, float]:
        best = max(row)
        return self.names[row.index(best)], best

    def contradicts(self, label: str, prediction: str, row: list[float]) -> bool | None:
        return label != prediction if max(row) >= SURE else None

    def counted(self, prediction: str) -> str:
        return prediction

    def answer_schema(self) -> dict[str, Any]:
        return {
            "class": self.label_schema(),
            "confidence": PROBABILITY,
            "probabilities": {
                "type": "object",
                "properties": dict.fromkeys(self.names, PROBABILITY),
                "required": list(self.names),
                "additionalProperties": False,
            },
        }

    def label_schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.names)}

    def to_json(self) -> dict[str, Any]:
        return {"classes": list(self.names)}
