"""What a model said about labelled examples, checked once, and kept as a Parquet table."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.data.examples import ID, LABEL, labels, read_examples, write_examples
from closedloop.errors import DataError
from closedloop.evaluation.metrics import log_losses

PREDICTION = "prediction"
PROBABILITY = "p_"  # before the class: the column of its probability
TOLERANCE = 1e-3  # of the sum of a row of probabilities: float32 softmax errs by about 1e-6


class Rows(ABC):
    """Answers to examples in a fixed order, of which some can be taken by their ids."""

    ids: list[str]

    def only(self, ids: Collection[str]) -> Self:
        """Those of the examples that are among the ids, in their order; perhaps none."""
        wanted = set(ids)
        return self._rows([row for row, name in enumerate(self.ids) if name in wanted])

    def without(self, ids: Collection[str]) -> Self:
        """Those of the examples that are not among the ids, in their order; perhaps none."""
        unwanted = set(ids)
        return self._rows([row for row, name in enumerate(self.ids) if name not in unwanted])

    @abstractmethod
    def _rows(self, rows: list[int]) -> Self: ...


@dataclass(frozen=True)
class Predictions(Rows):
    """N examples in a fixed order with the label and the C class probabilities of each."""

    ids: list[str]
    labels: NDArray[np.int64]  # (N,) index into classes
    probabilities: NDArray[np.float64]  # (N, C)
    classes: list[str]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class (N,), the first of equals."""
        predicted: NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return predicted

    @property
    def confidence(self) -> NDArray[np.float64]:
        confidence: NDArray[np.float64] = self.probabilities.max(axis=1)
        return confidence

    @property
    def correct(self) -> NDArray[np.bool_]:
        correct: NDArray[np.bool_] = self.predicted == self.labels
        return correct

    @classmethod
    def of(cls, examples: pa.Table, probabilities: NDArray[np.float64], classes: list[str]) -> Self:
        """Put the probabilities (N, C) beside the labels of the examples.

        Raises DataError for an empty table, a label that is no class, rows that do not match, and rows that are no
        probabilities; it names the first such example.
        """
        ids, names = [str(i) for i in examples.column(ID).to_pylist()], labels(examples)
        if not ids:
            raise DataError("there are no examples to evaluate on: the split is empty")
        index = {name: code for code, name in enumerate(classes)}
        unknown = [f"{i} ({name!r})" for i, name in zip(ids, names, strict=True) if name not in index]
        if unknown:
            raise DataError(
                f"{len(unknown)} examples have a label that is no class, first {unknown[0]}; "
                f"classes: {', '.join(classes)}"
            )
        if probabilities.shape != (len(ids), len(classes)):
            raise DataError(
                f"the model answered with an array of shape {probabilities.shape} to {len(ids)} examples "
                f"of {len(classes)} classes: model and task do not belong together; train again"
            )
        # no comparison holds for NaN, and no sum with an infinity is 1
        sound = (probabilities >= 0).all(axis=1) & (np.abs(probabilities.sum(axis=1) - 1) <= TOLERANCE)
        if not sound.all():
            first = int(np.argmin(sound))
            raise DataError(
                f"{int((~sound).sum())} of {len(ids)} answers are not probabilities (finite, from 0 to 1, with sum 1), "
                f"first for {ids[first]}: {probabilities[first].tolist()}; train again"
            )
        return cls(ids, np.array([index[name] for name in names]), probabilities.astype(np.float64), list(classes))

    def losses(self, metric: str) -> NDArray[np.float64]:
        """What each example adds to a metric that is better the lower it is (N,)."""
        if metric != "log_loss":
            raise DataError(f"classes are not compared by {metric}")
        return log_losses(self.labels, self.probabilities)

    def paired_with(self, other: "Predictions", rows: NDArray[np.intp]) -> Self:
        """These predictions at the given rows, so that they stand beside the other's, with its order of classes.

        Raises DataError when classes or labels differ.
        """
        self.require_alike(other)
        columns = np.array([self.classes.index(name) for name in other.classes])
        code = np.argsort(columns)  # our code of a class -> the other's
        aligned = type(self)(
            other.ids, code[self.labels[rows]], self.probabilities[rows][:, columns], list(other.classes)
        )
        if not np.array_equal(aligned.labels, other.labels):
            first = other.ids[int(np.argmax(aligned.labels != other.labels))]
            raise DataError(f"challenger and champion were run on different labels, first {first}")
        return aligned

    def require_alike(self, other: "Predictions") -> None:
        """Raise DataError unless both tell the same classes apart."""
        if set(self.classes) != set(other.classes):
            raise DataError(
                f"challenger and champion do not tell the same classes apart: "
                f"{', '.join(other.classes)} against {', '.join(self.classes)}"
            )

    def _rows(self, rows: list[int]) -> Self:
        chosen = np.array(rows, np.intp)
        return type(self)(
            [self.ids[row] for row in rows], self.labels[chosen], self.probabilities[chosen], self.classes
        )

    def write(self, path: Path) -> None:
        """Write id, label, prediction and a probability column for each class, atomically."""
        columns = {
            ID: self.ids,
            LABEL: [self.classes[code] for code in self.labels],
            PREDICTION: [self.classes[code] for code in self.predicted],
        }
        scores = {PROBABILITY + name: self.probabilities[:, code] for code, name in enumerate(self.classes)}
        write_examples(path, pa.table({**columns, **scores}))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote; raises DataError when it is missing, broken or empty."""
        table = read_examples(path)
        classes = [name.removeprefix(PROBABILITY) for name in table.column_names if name.startswith(PROBABILITY)]
        columns = [table.column(PROBABILITY + name).to_numpy() for name in classes]
        return cls.of(table, np.stack(columns, axis=1) if columns else np.zeros((table.num_rows, 0)), classes)
