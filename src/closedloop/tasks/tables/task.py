"""Rows of numbers and categories, to which a class or a number belongs."""

import hashlib
import struct
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from closedloop.errors import DataError
from closedloop.tasks.base import Baseline, Finding, Preprocessor, read_fitted
from closedloop.tasks.tables.preprocessor import Category, Number, TablePreprocessor, as_floats
from closedloop.tasks.tables.request import natural

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from closedloop.config import Params
    from closedloop.tasks.schema import Table

NAMED = 10  # ids that a finding names
ABSENT = b"\0"  # a missing value in a fingerprint
BLOCK = 100_000  # rows that are taken apart at once: a value of its own takes ten times the room of one in a column


class Tables:
    """Rows in delimited text, Parquet or JSON lines, one label each."""

    takes_missing = True

    def read(self, raw: Path, params: "Params") -> "pa.Table":
        """Read the source's parts; numbers are float64, categories are text, null where a value is missing.

        Raises DataError when a file cannot be read, its columns are not those of the configuration, or a number is not.
        """
        import pyarrow as pa

        from closedloop.data.tables import read_table
        from closedloop.tasks.tables.columns import check_names, examples, features, renamed

        config = cast("Table", params.source.format)  # the configuration has seen to it
        old = {new: name for name, new in config.rename.items()}
        numbers = [old.get(name, name) for name in config.numbers]
        tables = [
            renamed(read_table(raw / part.file, config.layout, numbers=numbers), config, str(raw / part.file))
            for part in config.parts
        ]
        for part, table in zip(config.parts, tables, strict=True):
            check_names(table, config, str(raw / part.file))
        different = [table for table in tables if set(table.column_names) != set(tables[0].column_names)]
        if different:
            odd = sorted(set(different[0].column_names) ^ set(tables[0].column_names))
            raise DataError(f"the parts in {raw} differ in the columns {', '.join(odd)}")
        roles = features(tables, config)
        return pa.concat_tables(
            examples(table, part.split, config, roles, str(raw / part.file), of_numbers=params.task.target == "number")
            for part, table in zip(config.parts, tables, strict=True)
        )

    def fingerprints(self, examples: "pa.Table") -> NDArray[np.uint64]:
        """Of the fields by name, so that neither the order of the columns nor that of the configuration matters."""
        names = sorted(name for names in fields(examples) for name in names)
        blocks = (examples.slice(start, BLOCK).select(names) for start in range(0, examples.num_rows, BLOCK))
        return np.concatenate([_fingerprints(block) for block in blocks] or [np.empty(0, np.uint64)])

    def examine(self, examples: "pa.Table", params: "Params") -> list[Finding]:
        """Rows without a value, columns with too few or with one alone, and categories that are names."""
        from closedloop.data.examples import ID

        limits, rows = params.validation, examples.num_rows
        numbers, categories = fields(examples)
        gaps = {name: examples.column(name).null_count / rows for name in (*numbers, *categories)}
        present = {name: examples.column(name).drop_null() for name in gaps}
        distinct = {name: len(column.unique()) for name, column in present.items()}
        blank = np.flatnonzero(
            np.all([examples.column(name).is_null().to_numpy() for name in gaps], axis=0)  # all fields at once
        )
        hollow = [f"{name} {share:.1%}" for name, share in gaps.items() if share > limits.max_missing_share]
        constant = [name for name, count in distinct.items() if count == 1]
        names = [
            f"{name} {distinct[name]} in {len(present[name])} rows"
            for name in categories
            if distinct[name] > limits.max_distinct_share * max(1, len(present[name]))
        ]
        fullest = max(gaps, key=lambda name: gaps[name])
        return [
            Finding(
                check="blank rows",
                passed=len(blank) <= limits.max_blank_share * rows,
                found=f"{len(blank)} of {rows} rows have no value at all",
                allowed=f"a share of at most {limits.max_blank_share} (validation.max_blank_share)",
                examples=tuple(examples.column(ID).take(blank[:NAMED]).to_pylist()),
            ),
            Finding(
                check="missing values",
                passed=not hollow,
                found=f"too many: {', '.join(hollow)}" if hollow else f"at most {gaps[fullest]:.1%}, in {fullest}",
                allowed=f"a share of at most {limits.max_missing_share} of each column (validation.max_missing_share)",
            ),
            Finding(
                check="constant columns",
                passed=not constant or rows < limits.min_examples,  # of a small batch it says nothing
                found=f"of one value only: {', '.join(constant)}" if constant else "none",
                allowed="none; name them in source.format.ignored",
            ),
            Finding(
                check="distinct categories",
                passed=not names or rows < limits.min_examples,
                found=f"too many: {', '.join(names)}" if names else "values come back in every column",
                allowed=f"a share of at most {limits.max_distinct_share} of them (validation.max_distinct_share); "
                "a name belongs into source.format.ignored or id, a number into numbers",
            ),
        ]

    def fit(self, train: "pa.Table", params: "Params") -> Preprocessor:
        """Quantiles of the numbers and values of the categories over the training split."""
        from closedloop.data.examples import texts

        numbers, categories = fields(train)
        columns = {name: texts(train.column(name)) for name in categories}
        return TablePreprocessor(
            numbers=[Number.fit(name, as_floats(train, name)) for name in numbers],
            categories=[Category.fit(name, column) for name, column in columns.items()],
            missing=cast("Table", params.source.format).layout.missing,
            typical={name: _most_frequent(column) for name, column in columns.items()},
        )

    def load_preprocessor(self, folder: Path) -> Preprocessor:
        content = read_fitted(folder)
        numbers = [Number(**number) for number in content.pop("numbers")]
        categories = [Category(**category) for category in content.pop("categories")]
        return TablePreprocessor(numbers=numbers, categories=categories, **content)

    def baseline(self, train: "pa.Table", examples: "pa.Table", params: "Params") -> Baseline:
        from closedloop.tasks.tables import baseline

        described = self.describe(train), train, self.describe(examples)
        if params.task.target == "number":
            return baseline.number(*described, params.task.coverage)
        return baseline.gradient_boosting(*described, params.task.classes)

    def describe(self, examples: "pa.Table") -> "pd.DataFrame":
        from closedloop.tasks.tables.descriptors import describe

        return describe(examples, *fields(examples))

    def shift(self, examples: "pa.Table", scenario: str, severity: int, rng: np.random.Generator) -> "pa.Table":
        from closedloop.tasks.tables.shifts import shift

        return shift(examples, scenario, severity, rng)

    def look(self, examples: "pa.Table", row: int) -> str:
        """Each field's name and value on a line of its own."""
        numbers, categories = fields(examples)
        values = examples.slice(row, 1).select([*numbers, *categories]).to_pylist()[0]
        return "\n".join(f"{name}: {_shown(value)}" for name, value in values.items())


def fields(examples: "pa.Table") -> tuple[list[str], list[str]]:
    """The names of the numbers, and those of the categories: what an example has besides what all kinds have."""
    import pyarrow as pa

    from closedloop.data.examples import ASIDE

    content = [field for field in examples.schema if field.name not in ASIDE]
    numbers = [field.name for field in content if pa.types.is_floating(field.type)]
    return numbers, [field.name for field in content if field.name not in numbers]


def _fingerprints(block: "pa.Table") -> NDArray[np.uint64]:
    encoded = [_encoded(column.combine_chunks()) for column in block.columns]
    digests = [hashlib.blake2b(b"".join(row), digest_size=8).digest() for row in zip(*encoded, strict=True)]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def _encoded(column: "pa.Array") -> list[bytes]:
    """Each value as bytes of which none is the beginning of another's: its kind, the size of a text, the value."""
    import pyarrow as pa

    if not pa.types.is_floating(column.type):
        each = column.dictionary_encode()  # a category once, and not in every row
        known = [b"\1" + struct.pack("<q", len(text)) + text for text in map(str.encode, each.dictionary.to_pylist())]
        known.append(ABSENT)
        return [known[code] for code in each.indices.fill_null(len(known) - 1).to_pylist()]
    marked = np.empty(len(column), [("kind", "u1"), ("value", "<f8")])
    marked["kind"] = 2
    marked["value"] = column.to_numpy(zero_copy_only=False) + 0.0  # 0 and -0 are the same
    joined, size = marked.tobytes(), marked.itemsize
    found = [joined[start : start + size] for start in range(0, len(joined), size)]
    for row in np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False)):
        found[row] = ABSENT
    return found


def _most_frequent(column: list[str | None]) -> str | None:
    counts = Counter(value for value in column if value is not None)
    return min(counts, key=lambda value: (-counts[value], value)) if counts else None


def _shown(value: Any) -> str:
    if value is None:
        return "(missing)"
    return str(natural(value)) if isinstance(value, float) else str(value)


TASK = Tables()
