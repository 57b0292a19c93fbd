"""How surprised a model was at passages of text, checked once, and kept as a Parquet table."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.data.examples import ID, write_examples
from closedloop.errors import DataError
from closedloop.evaluation.predictions import Rows
from closedloop.targets.text import Text

NATS = "nats"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Passages(Rows):
    """N passages in a fixed order with the mean surprise at a character of each, in nats."""

    ids: list[str]
    nats: Floats  # (N,)

    @classmethod
    def of(cls, examples: pa.Table, rows: Floats, target: Text) -> Self:
        """Put the answers (N, 1) beside the examples.

        Raises DataError for an empty table, and rows that do not match or are no answers.
        """
        ids = [str(i) for i in examples.column(ID).to_pylist()]
        if not ids:
            raise DataError("there are no passages to evaluate on: the split is empty")
        if rows.shape != (len(ids), target.width):
            raise DataError(
                f"the model answered with an array of shape {rows.shape} to {len(ids)} passages: model and task do not "
                "belong together; train again"
            )
        target.check_rows(rows.tolist())
        return cls(ids, rows[:, 0].astype(np.float64))

    def losses(self, metric: str) -> Floats:
        """What each passage adds to a metric that is better the lower it is (N,)."""
        if metric != NATS:
            raise DataError(f"texts are not compared by {metric}")
        return self.nats

    def paired_with(self, other: "Passages", rows: NDArray[np.intp]) -> Self:
        """These at the given rows, so that they stand beside the other's."""
        return type(self)(other.ids, self.nats[rows])

    def _rows(self, rows: list[int]) -> Self:
        return type(self)([self.ids[row] for row in rows], self.nats[np.array(rows, np.intp)])

    def write(self, path: Path) -> None:
        """Write id and nats, atomically."""
        write_examples(path, pa.table({ID: self.ids, NATS: self.nats}))

    @classmethod
    def from_table(cls, table: pa.Table) -> Self:
        """What `write` wrote."""
        return cls([str(i) for i in table.column(ID).to_pylist()], table.column(NATS).to_numpy())
