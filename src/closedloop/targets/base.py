"""The questions that a kind of target answers."""

from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

Rows = list[list[float]]


class Target(Protocol):
    """A model answers each example with a row of numbers; the target knows what they mean.

    Labels are text everywhere, as requests and files have them.
    """

    @property
    def width(self) -> int:
        """How many numbers a row has."""

    @property
    def scale(self) -> float:
        """What a small difference between two rows is measured by."""

    def flaw(self, label: str) -> str | None:
        """What a label is instead of one; None for a sound one."""

    def read(self, label: Any) -> str:
        """A label of a JSON body as text; raises ValueError that says what was expected."""

    def encode(self, labels: Sequence[str], inputs: dict[str, NDArray[Any]]) -> NDArray[Any]:
        """What the network learns to say of N examples with these labels and inputs, (N,) or (N, steps)."""

    def check_rows(self, rows: Rows) -> None:
        """Raise DataError unless each row can be an answer; in plain Python, faster than NumPy for a few rows."""

    def shown(self, row: list[float]) -> dict[str, Any]:
        """An answer as a client gets it."""

    def row(self, shown: dict[str, Any]) -> list[float]:
        """The inverse of `shown`."""

    def logged(self, row: list[float]) -> tuple[str, float]:
        """The prediction as text, and how sure it is: what the prediction log keeps in columns of their own."""

    def contradicts(self, label: str, prediction: str, row: list[float]) -> bool | None:
        """Whether a label says otherwise than a logged answer that was sure; None where the answer was not."""

    def counted(self, prediction: str) -> str:
        """The name under which a prediction is counted; there are few of them."""

    def answer_schema(self) -> dict[str, Any]:
        """JSON schemas of the fields of an answer."""

    def label_schema(self) -> dict[str, Any]:
        """The JSON schema of a label."""

    def to_json(self) -> dict[str, Any]: ...
