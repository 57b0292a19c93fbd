"""What to do next: one of several actions, with what makes it the choice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from closedloop.targets.classes import Classes

SHARES = (
    "The softmax of the network's figures, the largest of which is taken: of a policy gradient the probability that "
    "training drew the action with; in Q-learning, whose figures are returns, it says their order and no probability."
)


@dataclass(frozen=True)
class Action(Classes):
    """A row holds a share for each action, in their order, which SHARES explains; the action of the largest is taken.

    Nobody knows the right one beforehand: no label says it, what comes of it does.
    """

    def flaw(self, label: str) -> str | None:
        return "none that is needed: what comes of an action judges it" if label else None

    def read(self, label: Any) -> str:  # noqa: ARG002
        raise ValueError("an action has no true label: what comes of it judges it")

    def encode(self, labels: Sequence[str], inputs: dict[str, NDArray[Any]]) -> NDArray[np.int64]:  # noqa: ARG002
        return np.zeros(len(labels), np.int64)

    def shown(self, row: list[float]) -> dict[str, Any]:
        action, confidence = self.logged(row)
        return {"action": action, "confidence": confidence, "probabilities": dict(zip(self.names, row, strict=True))}

    def contradicts(self, label: str, prediction: str, row: list[float]) -> bool | None:  # noqa: ARG002
        return None

    def answer_schema(self) -> dict[str, Any]:
        schema = super().answer_schema()
        named = {"type": "string", "enum": list(self.names)}
        shares = {name: {**one, "description": SHARES} for name, one in schema.items() if name != "class"}
        return {"action": named, **shares}

    def label_schema(self) -> dict[str, Any]:
        return {"type": "string", "maxLength": 0}

    def to_json(self) -> dict[str, Any]:
        return {"actions": list(self.names)}
