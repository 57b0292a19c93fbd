"""One figure for each example, where that is what a model is judged by: kept as a Parquet table."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.data.examples import ID, write_examples
from closedloop.errors import DataError
from closedloop.evaluation.predictions import Rows

# surprise at a passage of text; how far what was made is from an image; what an episode has brought in
NATS, ENERGY, RETURN = "nats", "energy_score", "return"
METRICS = (NATS, ENERGY, RETURN)
HIGHER_IS_BETTER = (RETURN,)
NOISE = b"noise"
Floats = NDArray[np.float64]


def as_score(metric: str, loss: float) -> float:
    """A mean loss as the figure of that metric which people know: of returns, more is better."""
    return -loss if metric in HIGHER_IS_BETTER else loss


@dataclass(frozen=True)
class Outcomes(Rows):
    """N examples in a fixed order with a figure for each, all of one metric."""

    ids: list[str]
    metric: str
    values: Floats  # (N,)
    noise: float = 0.0  # standard error of their mean that lies in what was made and not in the examples
    evidence: Any = field(default=None, compare=False)  # what the figures were made from: for a report, never written

    @classmethod
    def of(cls, examples: pa.Table, values: Floats, metric: str, evidence: Any = None, *, noise: float = 0.0) -> Self:
        """Put the figures (N,) beside the examples.

        Raises DataError for an empty table, and figures that do not match or are not finite.
        """
        ids = [str(i) for i in examples.column(ID).to_pylist()]
        if not ids:
            raise DataError("there are no examples to evaluate on: the split is empty")
        if values.shape != (len(ids),):
            raise DataError(
                f"{values.shape} figures of {metric} for {len(ids)} examples: model and task do not belong together; "
                "train again"
            )
        if not np.isfinite(values).all():
            raise DataError(f"{metric} of {ids[int(np.argmin(np.isfinite(values)))]} is no finite number")
        return cls(ids, metric, values.astype(np.float64), noise, evidence)

    def losses(self, metric: str) -> Floats:
        """What each example adds to a metric that is better the lower it is (N,)."""
        if metric != self.metric:
            raise DataError(f"models that are judged by {self.metric} are not compared by {metric}")
        return -self.values if metric in HIGHER_IS_BETTER else self.values

    def paired_with(self, other: "Outcomes", rows: NDArray[np.intp]) -> Self:
        """These at the given rows, so that they stand beside the other's."""
        return type(self)(other.ids, self.metric, self.values[rows], self.noise)

    def _rows(self, rows: list[int]) -> Self:
        ids = [self.ids[row] for row in rows]
        return type(self)(ids, self.metric, self.values[np.array(rows, np.intp)], self.noise)

    def write(self, path: Path) -> None:
        """Write id and figure, atomically; the noise goes into the metadata."""
        table = pa.table({ID: self.ids, self.metric: self.values}, metadata={NOISE: repr(self.noise)})
        write_examples(path, table)

    @classmethod
    def from_table(cls, table: pa.Table) -> Self:
        """What `write` wrote."""
        metric = next(name for name in METRICS if name in table.column_names)
        noise = float((table.schema.metadata or {}).get(NOISE, 0))
        return cls([str(i) for i in table.column(ID).to_pylist()], metric, table.column(metric).to_numpy(), noise)
