"""What could be among the examples and is not: images that a model makes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from closedloop.errors import DataError
from closedloop.targets.base import Rows


@dataclass(frozen=True)
class Image:
    """A row holds the realism of an image: how probable it is, to the discriminator, that nobody has made it."""

    @property
    def width(self) -> int:
        return 1

    @property
    def scale(self) -> float:
        return 1.0

    def flaw(self, label: str) -> str | None:  # noqa: ARG002  labels of the images that are imitated do not matter
        return None

    def read(self, label: Any) -> str:  # noqa: ARG002
        raise ValueError("an image that was made has no true label")

    def encode(self, labels: Sequence[str], inputs: dict[str, NDArray[Any]]) -> NDArray[Any]:  # noqa: ARG002
        """Nothing is told of an image: that it is one is all."""
        return np.ones(len(labels), np.float32)

    def check_rows(self, rows: Rows) -> None:
        for row in rows:
            if not 0 <= row[0] <= 1:  # with NaN no comparison holds
                raise DataError("what it answers is no probability")

    def shown(self, row: list[float]) -> dict[str, Any]:
        return {"realism": row[0]}

    def row(self, shown: dict[str, Any]) -> list[float]:
        return [shown["realism"]]

    def logged(self, row: list[float]) -> tuple[str, float]:
        return "image", row[0]

    def contradicts(self, label: str, prediction: str, row: list[float]) -> bool | None:  # noqa: ARG002
        return None

    def counted(self, prediction: str) -> str:
        return prediction

    def answer_schema(self) -> dict[str, Any]:
        return {
            "images": {
                "type": "array",
                "description": "as many as were asked for",
                "items": {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"},
            },
            "realism": {
                "type": "number",
                "minimum": 0,
                "maximum": 1,
                "description": "how probable it is, to the discriminator, that the image that was sent is real; "
                "without one, that those are which were made, on average",
                "examples": [0.4],
            },
        }

    def label_schema(self) -> dict[str, Any]:
        return {"type": "string", "maxLength": 0}

    def to_json(self) -> dict[str, Any]:
        return {"image": {}}
