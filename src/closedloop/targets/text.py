"""How a text goes on: nothing is told of an example but how surprising it is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from closedloop.errors import DataError
from closedloop.targets.base import Rows

NEXT = "next"  # input of the network that scores: the character after each


@dataclass(frozen=True)
class Text:
    """A row holds the mean surprise at a character, in nats: minus the logarithm of the probability that it had."""

    characters: int  # that are told apart, an unknown one and the beginning among them

    @property
    def width(self) -> int:
        return 1

    @property
    def scale(self) -> float:
        return 1.0

    def flaw(self, label: str) -> str | None:
        return "none that is needed: a text says by itself how it goes on" if label else None

    def read(self, label: Any) -> str:  # noqa: ARG002
        raise ValueError("a text has no label: it says by itself how it goes on")

    def encode(self, labels: Sequence[str], inputs: dict[str, NDArray[Any]]) -> NDArray[Any]:  # noqa: ARG002
        return inputs[NEXT]

    def check_rows(self, rows: Rows) -> None:
        for row in rows:
            if not 0 <= row[0] < np.inf:  # with NaN no comparison holds
                raise DataError("what it answers is no surprise in nats")

    def shown(self, row: list[float]) -> dict[str, Any]:
        return {"nats": row[0]}

    def row(self, shown: dict[str, Any]) -> list[float]:
        return [shown["nats"]]

    def logged(self, row: list[float]) -> tuple[str, float]:
        return "", row[0]

    def contradicts(self, label: str, prediction: str, row: list[float]) -> bool | None:  # noqa: ARG002
        return None

    def counted(self, prediction: str) -> str:  # noqa: ARG002  each is another
        return "text"

    def answer_schema(self) -> dict[str, Any]:
        return {
            "text": {"type": "string", "description": "how it goes on"},
            "nats": {
                "type": "number",
                "minimum": 0,
                "description": "mean surprise at a character of the text that was sent",
                "examples": [1.5],
            },
        }

    def label_schema(self) -> dict[str, Any]:
        return {"type": "string", "maxLength": 0}

    def to_json(self) -> dict[str, Any]:
        return {"text": asdict(self)}
