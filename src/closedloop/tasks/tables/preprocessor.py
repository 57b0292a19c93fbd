"""The transform of tables: numbers as normal scores, categories as codes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from closedloop.errors import DataError
from closedloop.files import write_json
from closedloop.tasks.base import Arrays
from closedloop.tasks.tables.request import category_schema, natural, number_schema, read_rows

if TYPE_CHECKING:
    import pyarrow as pa

NUMBERS, CATEGORIES = "numbers", "categories"  # the network's inputs
MISSING, OTHER = 0, 1  # codes of a category that is missing, and of one that is rare or unseen; known ones follow
BLOCK = 100_000  # rows that are transformed at once: values of their own take more room than a column
KNOTS = 1000  # of the map of a number at most
RAREST = 10  # training examples that a category must have to get a code of its own


@dataclass(frozen=True)
class Number:
    """A number's map to normal scores, piecewise linear between the quantiles of the training split."""

    name: str
    values: list[float]  # ascending
    scores: list[float]  # of the values
    median: float  # stands in for a missing value
    gaps: bool  # whether it was missing in training: the network is then told

    @classmethod
    def fit(cls, name: str, column: NDArray[np.float64]) -> "Number":
        """Fit on a column (N,) with NaN where a value is missing.

        A value's score is the normal deviate of its middle rank, so that ties do not matter (Blom, 1958). A heavy tail
        is drawn in, and frequent values, as an amount of 0, are set apart from others. Raises DataError for a column
        without values.
        """
        from scipy.special import ndtri

        present = column[~np.isnan(column)]
        if not len(present):
            raise DataError(f"column {name} holds no value in the training split; name it in source.format.ignored")
        values, counts = np.unique(present, return_counts=True)
        scores = ndtri((np.cumsum(counts) - counts / 2) / counts.sum())
        kept = np.unique(np.linspace(0, len(values) - 1, min(KNOTS, len(values))).round().astype(int))
        return cls(
            name,
            values[kept].tolist(),
            scores[kept].tolist(),
            float(np.median(present)),
            gaps=len(present) < len(column),
        )

    def score(self, column: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores (N,) of values (N,); beyond the training's range the nearest score."""
        scores = np.interp(np.where(np.isnan(column), self.median, column), self.values, self.scores)
        return np.clip(scores, self.scores[0], self.scores[-1])  # between values almost equal a slope is infinite


@dataclass(frozen=True)
class Category:
    """A category's values that have a code of their own, the first of them 2."""

    name: str
    values: list[str]

    @classmethod
    def fit(cls, name: str, column: Sequence[str | None]) -> "Category":
        counts = Counter(value for value in column if value is not None)
        return cls(name, sorted(value for value, count in counts.items() if count >= RAREST))

    @property
    def size(self) -> int:
        return len(self.values) + 2

    @cached_property
    def _codes(self) -> dict[str | None, int]:
        return {None: MISSING, **{value: code for code, value in enumerate(self.values, OTHER + 1)}}

    def codes(self, column: Sequence[str | None]) -> list[int]:
        return [self._codes.get(value, OTHER) for value in column]


@dataclass(frozen=True)
class TablePreprocessor:
    """Maps numbers to normal scores and categories to codes; a number's gaps are a category beside the others."""

    numbers: list[Number]
    categories: list[Category]
    missing: list[str]  # texts that stand for a missing value
    typical: dict[str, str | None]  # the most frequent value of each category

    @cached_property
    def _number_names(self) -> list[str]:
        return [number.name for number in self.numbers]

    @cached_property
    def _category_names(self) -> list[str]:
        return [category.name for category in self.categories]

    @property
    def cardinalities(self) -> dict[str, list[int]]:
        sizes = [category.size for category in self.categories] + [2 for number in self.numbers if number.gaps]
        return {CATEGORIES: sizes} if sizes else {}

    def transform(self, examples: "pa.Table") -> Arrays:
        """Rows -> scores, float32 (N, numbers), and codes, int64 (N, categories); either may be absent."""
        blocks = [
            self._arrays(
                {name: as_floats(block, name) for name in self._number_names}
                | {name: block.column(name).to_pylist() for name in self._category_names}
            )
            for block in (examples.slice(start, BLOCK) for start in range(0, max(1, examples.num_rows), BLOCK))
        ]
        return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}

    def inputs(self, records: list[dict[str, Any]]) -> Arrays:
        return self._arrays(self._rows(records))

    def _rows(self, records: list[dict[str, Any]]) -> dict[str, list[Any]]:
        return read_rows(records, self._number_names, self._category_names, self.missing)

    def _arrays(self, columns: dict[str, Any]) -> Arrays:
        numbers = {number.name: np.asarray(columns[number.name], np.float64) for number in self.numbers}
        codes: list[Any] = [category.codes(columns[category.name]) for category in self.categories]
        codes += [np.isnan(numbers[number.name]) for number in self.numbers if number.gaps]
        arrays: Arrays = {}
        if numbers:
            scores = [number.score(numbers[number.name]) for number in self.numbers]
            arrays[NUMBERS] = np.stack(scores, axis=1).astype(np.float32)
        if codes:
            arrays[CATEGORIES] = np.array(codes, np.int64).T
        return arrays

    def request_schema(self) -> dict[str, Any]:
        numbers = {one.name: number_schema(one.values[0], one.values[-1], one.median) for one in self.numbers}
        categories = {one.name: category_schema(one.values) for one in self.categories}
        return {
            "type": "object",
            "description": "A row. Each field may be null or absent: it is then missing.",
            "properties": {**numbers, **categories},
            "additionalProperties": False,
            "minProperties": 1,
        }

    def request_example(self) -> dict[str, Any]:
        """A row of medians and most frequent values: nobody's own."""
        return {**{number.name: natural(number.median) for number in self.numbers}, **self.typical}

    def decode(self, records: list[dict[str, Any]]) -> "pa.Table":
        """[{"age": 39, "workclass": "State-gov", …}, …] -> examples."""
        import pyarrow as pa

        rows = self._rows(records)
        numbers = {
            name: pa.array(np.asarray(rows[name], np.float64), pa.float64(), from_pandas=True)
            for name in self._number_names
        }
        return pa.table({**numbers, **{name: pa.array(rows[name], pa.string()) for name in self._category_names}})

    def encode(self, examples: "pa.Table") -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = examples.select([*self._number_names, *self._category_names]).to_pylist()
        return records

    def save(self, folder: Path) -> None:
        write_json(folder / "preprocessor.json", {"kind": "tables", **asdict(self)})


def as_floats(examples: "pa.Table", name: str) -> NDArray[np.float64]:
    """A column of numbers (N,), NaN where it is null."""
    column: NDArray[np.float64] = examples.column(name).to_numpy()
    return column.astype(np.float64)
