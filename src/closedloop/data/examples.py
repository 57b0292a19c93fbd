"""Examples: one Parquet table a split, in the form in which a request arrives, with id and label."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from closedloop.errors import DataError
from closedloop.files import atomic

ID, PART, LABEL = "id", "part", "label"  # the columns that every kind of task has
# and those that it may have
GROUP = "group"  # rows of one group, as of one person, never stand in two splits
TIME = "time of the example"  # float64; the splits follow its order
ASIDE = (ID, PART, LABEL, GROUP, TIME)  # none of them is the example's content
UNASKED = (GROUP, TIME)  # which a request does not tell
UNLABELLED = "(missing)"  # in place of a label: outside task.classes, so that validation counts such examples


def write_examples(path: Path, table: pa.Table) -> None:
    """Write a table of examples atomically."""
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_examples(path: Path) -> pa.Table:
    """Read a table of examples.

    Raises DataError when the file is missing, unreadable or empty.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing; run the stage that makes it with `dvc repro`")
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} is not a readable Parquet file ({error}); delete it and run `dvc repro`") from None
    if table.num_rows == 0:
        raise DataError(f"{path} holds no examples: the split is empty")
    return table


def labels(table: pa.Table) -> list[str]:
    """The class names of the examples, in order."""
    return [str(label) for label in texts(table.column(LABEL))]


def strings(column: pa.ChunkedArray) -> NDArray[np.str_]:
    """A column of few distinct texts as an array."""
    encoded = column.combine_chunks().dictionary_encode()
    found: NDArray[np.str_] = np.array(encoded.dictionary.to_pylist() or [""], np.str_)[encoded.indices.to_numpy()]
    return found


def texts(column: pa.ChunkedArray) -> list[Any]:
    """A column of text as a list; equal texts are one object, as millions of them would not fit otherwise."""
    encoded = column.combine_chunks().dictionary_encode()
    names = [*encoded.dictionary.to_pylist(), None]
    return [names[code] for code in encoded.indices.fill_null(len(names) - 1).to_numpy()]
