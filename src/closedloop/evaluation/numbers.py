"""What a model said about examples with a number each, checked once, and kept as a Parquet table."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.data.examples import ID, LABEL, labels, write_examples
from closedloop.errors import DataError
from closedloop.evaluation.predictions import PREDICTION, Rows
from closedloop.targets.number import Number, as_numbers

LOW, HIGH = "low", "high"  # columns of the interval's ends
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Numbers(Rows):
    """N examples in a fixed order with the true number of each, the predicted one and its interval."""

    ids: list[str]
    truth: Floats  # (N,), as are all the others
    value: Floats
    low: Floats
    high: Floats

    @property
    def residuals(self) -> Floats:
        """Above 0 where the prediction is too low."""
        return self.truth - self.value

    @property
    def held(self) -> NDArray[np.bool_]:
        """Whether the interval holds the true number."""
        held: NDArray[np.bool_] = (self.low <= self.truth) & (self.truth <= self.high)
        return held

    @classmethod
    def of(cls, examples: pa.Table, rows: Floats, target: Number) -> Self:
        """Put the answers (N, 3) beside the labels of the examples.

        Raises DataError for an empty table, a label that is no number, and rows that do not match or are no answers; it
        names the first such example.
        """
        ids, names = [str(i) for i in examples.column(ID).to_pylist()], labels(examples)
        if not ids:
            raise DataError("there are no examples to evaluate on: the split is empty")
        wrong = [f"{i} ({name!r})" for i, name in zip(ids, names, strict=True) if target.flaw(name)]
        if wrong:
            raise DataError(f"{len(wrong)} examples have a label that is no finite number, first {wrong[0]}")
        if rows.shape != (len(ids), target.width):
            raise DataError(
                f"the model answered with an array of shape {rows.shape} to {len(ids)} examples; a number takes "
                f"{target.width} columns: model and task do not belong together; train again"
            )
        for name, row in zip(ids, rows.tolist(), strict=True):
            try:
                target.check_rows([row])
            except DataError as error:
                raise DataError(f"{error}, first for {name}: {row}; train again") from None
        return cls(ids, as_numbers(names), *(rows[:, place].astype(np.float64) for place in range(3)))

    def losses(self, metric: str) -> Floats:
        """What each example adds to a metric that is better the lower it is (N,)."""
        if metric not in ("mae", "mse"):
            raise DataError(f"numbers are not compared by {metric}")
        return np.abs(self.residuals) if metric == "mae" else self.residuals**2

    def paired_with(self, other: "Numbers", rows: NDArray[np.intp]) -> Self:
        """These predictions at the given rows, so that they stand beside the other's; raises DataError when the true
        numbers differ."""
        aligned = self._rows(rows)
        if not np.array_equal(aligned.truth, other.truth):
            first = other.ids[int(np.argmax(aligned.truth != other.truth))]
            raise DataError(f"challenger and champion were run on different labels, first {first}")
        return aligned

    def _rows(self, rows: Collection[int] | NDArray[np.intp]) -> Self:
        chosen = np.array(rows, np.intp)
        columns = [getattr(self, field.name)[chosen] for field in fields(self)[1:]]
        return type(self)([self.ids[row] for row in chosen.tolist()], *columns)

    def write(self, path: Path) -> None:
        """Write id, label, prediction, low and high, atomically."""
        columns = {ID: self.ids, LABEL: self.truth, PREDICTION: self.value, LOW: self.low, HIGH: self.high}
        write_examples(path, pa.table(columns))

    @classmethod
    def from_table(cls, table: pa.Table) -> Self:
        """What `write` wrote."""
        ids = [str(i) for i in table.column(ID).to_pylist()]
        return cls(ids, *(table.column(name).to_numpy() for name in (LABEL, PREDICTION, LOW, HIGH)))
