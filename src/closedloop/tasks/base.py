"""What one kind of problem decides; everything else is shared by all kinds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from closedloop.errors import DataError
from closedloop.files import read_json

if TYPE_CHECKING:  # the server answers without them: 75 MB less, a third of a second sooner
    import pandas as pd
    import pyarrow as pa

    from closedloop.config import Params


Arrays = dict[str, NDArray[Any]]  # inputs of the network by name, each with the batch first


class BadRecord(DataError):
    """A request that cannot be decoded; the reason repeats nothing of its content."""

    def __init__(self, row: int, field: str, reason: str) -> None:
        super().__init__(f"record {row}, field {field!r}: {reason}" if field else f"record {row}: {reason}")
        self.row, self.field, self.reason = row, field, reason


def left_out(value: Any) -> bool:
    """Whether a request has no such field; a table of requests has NaN where a row leaves one out."""
    return value is None or (isinstance(value, float) and bool(np.isnan(value)))


def read_number(
    row: int, record: dict[str, Any], name: str, usual: float, *, low: float = 0, high: float, whole: bool = False
) -> float:
    """A number of a request, or the usual one where it has none; raises BadRecord."""
    value = record.get(name, usual)
    if left_out(value):
        return usual
    kind = "a whole number" if whole else "a number"  # which a table of requests has as a float
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise BadRecord(row, name, f"expected {kind}")
    if not low <= value <= high or (whole and value != int(value)):
        raise BadRecord(row, name, f"expected {kind} from {low:.10g} to {high:.10g}")
    return float(value)


def refuse_excess(asked: Sequence[int], most: int, field: str, pieces: str) -> None:
    """Raise BadRecord for the first of several requests that, with those before it, asks for more than `most`."""
    for row, total in enumerate(accumulate(asked)):
        if total > most:
            raise BadRecord(row, field, f"the examples of a request ask for at most {most} {pieces} all together")


@dataclass(frozen=True)
class Finding:
    """The outcome of one check on the data."""

    check: str
    passed: bool
    found: str  # what was seen, in words and figures
    allowed: str  # what the configuration allows, naming its key
    examples: tuple[str, ...] = ()  # ids of the offending examples, the first few


class Baseline(NamedTuple):
    """What a strong simple model, fitted on the same training split, says about examples."""

    name: str  # of the model, as a person reads it
    rows: NDArray[np.float64]  # (N, width of the target), answers in the order of the examples


def read_fitted(folder: Path) -> dict[str, Any]:
    """What a preprocessor has saved, without its kind."""
    content: dict[str, Any] = read_json(folder / "preprocessor.json")
    content.pop("kind")
    content.pop("classes", None)  # of a version that was registered before targets had a file of their own
    return content


class Preprocessor(Protocol):
    """A fitted transform; pure NumPy, saved without pickle, the same object in training and in serving."""

    @property
    def cardinalities(self) -> dict[str, list[int]]:
        """How many values each column of an integer input has, by the input's name; one number is of them all."""

    def transform(self, examples: "pa.Table") -> Arrays:
        """Examples in request form -> the network's inputs."""

    def inputs(self, records: list[dict[str, Any]]) -> Arrays:
        """JSON-like requests -> the network's inputs: transform(decode(records)) without a table in between."""

    def request_schema(self) -> dict[str, Any]:
        """The JSON schema of one request."""

    def request_example(self) -> dict[str, Any]:
        """A request to try the model with."""

    def decode(self, records: list[dict[str, Any]]) -> "pa.Table":
        """JSON-like requests -> examples; raises BadRecord."""

    def encode(self, examples: "pa.Table") -> list[dict[str, Any]]:
        """Examples -> JSON-like requests: the inverse of decode."""

    def save(self, folder: Path) -> None: ...


# inputs of the network by name -> its outputs by name; what it carries from one call to the next is remembered
Step = Callable[[Arrays], Arrays]


@runtime_checkable
class Writer(Preprocessor, Protocol):
    """A preprocessor whose requests ask for something to be made: text, or images."""

    @property
    def pieces(self) -> int:
        """How many pieces are told at once where an answer is streamed."""

    def refuse_excess(self, records: list[dict[str, Any]]) -> None:
        """Raise BadRecord where requests ask for more, all together, than one may alone."""

    def write(self, record: dict[str, Any], step: Step) -> Iterator[str]:
        """What is made, piece by piece; raises BadRecord before the first one."""

    def told(self, pieces: Sequence[str]) -> dict[str, Any]:
        """Pieces as the fields of an answer."""


class Task(Protocol):
    """The questions that a kind of problem answers; `tasks/<kind>/task.py` holds one as TASK."""

    @property
    def takes_missing(self) -> bool:
        """Whether the content of an example may have nulls."""

    def read(self, raw: Path, params: "Params") -> "pa.Table":
        """Raw files -> examples with the columns id, part (all, train or test), label and the request's own."""

    def fingerprints(self, examples: "pa.Table") -> NDArray[np.uint64]:
        """A 64-bit hash of each example's content (without id, part, label), the same on every machine."""

    def examine(self, examples: "pa.Table", params: "Params") -> list[Finding]:
        """The checks that only this kind of data has."""

    def fit(self, train: "pa.Table", params: "Params") -> Preprocessor:
        """Fit the transform on the training split."""

    def load_preprocessor(self, folder: Path) -> Preprocessor: ...

    def baseline(self, train: "pa.Table", examples: "pa.Table", params: "Params") -> Baseline:
        """Fit the baseline of this kind on the training split, ask it about the examples."""

    def describe(self, examples: "pa.Table") -> "pd.DataFrame":
        """Numeric columns that move when the data do; one row an example."""

    def shift(self, examples: "pa.Table", scenario: str, severity: int, rng: np.random.Generator) -> "pa.Table":
        """Examples as they would arrive after the world has changed; `none` returns them as they are."""

    def look(self, examples: "pa.Table", row: int) -> NDArray[np.uint8] | str:
        """What a person looks at for one example: an image, grey (H, W) or in colour (H, W, 3), or text."""
