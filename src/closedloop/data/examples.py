"""Examples: one Parquet table a split, in the form in which a request arrives, with id and label."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from closedloop.data.array_columns import shape_of, to_array, to_column
from closedloop.data.spill import Spill, blocks
from closedloop.errors import DataError
from closedloop.files import atomic

ID, PART, LABEL = "id", "part", "label"  # the columns that every kind of task has
# and those that it may have
GROUP = "group"  # rows of one group, as of one person, never stand in two splits
TIME = "time of the example"  # float64; the splits follow its order
ASIDE = (ID, PART, LABEL, GROUP, TIME)  # none of them is the example's content
UNASKED = (GROUP, TIME)  # which a request does not tell
UNLABELLED = "(missing)"  # in place of a label: outside task.classes, so that validation counts such examples


def slices(table: pa.Table) -> Iterator[pa.Table]:
    """The rows of a table in parts that fit into memory one at a time, whatever may be made of a part."""
    for block in blocks(table.num_rows, table.nbytes / max(table.num_rows, 1)):
        yield table.slice(block.start, block.stop - block.start)


def write_examples(path: Path, table: pa.Table, mask: NDArray[np.bool_] | None = None) -> None:
    """Write a table of examples atomically, or those of its rows that the mask names."""
    with atomic(path) as temporary, pq.ParquetWriter(temporary, table.schema, compression="zstd") as writer:
        row = 0
        for part in slices(table):
            chosen = part if mask is None else _filtered(part, mask[row : row + part.num_rows])
            row += part.num_rows
            if chosen.num_rows:
                writer.write_table(chosen)


def _filtered(part: pa.Table, mask: NDArray[np.bool_]) -> pa.Table:
    """Some rows of a part of a table; pyarrow 25.0 itself gives other values for lists of lists in a slice."""
    columns = {
        name: to_column(to_array(column)[mask]) if shape_of(column.type) else column.filter(pa.array(mask))
        for name, column in zip(part.column_names, part.columns, strict=True)
    }
    return pa.table(columns, metadata=part.schema.metadata)


def read_examples(path: Path) -> pa.Table:
    """Read a table of examples.

    Raises DataError when the file is missing, unreadable or empty.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing; run the stage that makes it with `dvc repro`")
    try:
        table = _read(path)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} is not a readable Parquet file ({error}); delete it and run `dvc repro`") from None
    if table.num_rows == 0:
        raise DataError(f"{path} holds no examples: the split is empty")
    return table


def _read(path: Path) -> pa.Table:
    """Columns of lists of one length, such as images, come a row group at a time and may spill into a file.

    pyarrow needs twenty times the room of lists of lists to read them.
    """
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        wide = {field.name: Spill(path.parent) for field in file.schema_arrow if shape_of(field.type)}
        if not wide or not file.num_row_groups:
            return file.read()
        for group in range(file.num_row_groups):
            part = file.read_row_group(group, columns=list(wide))
            for name, spill in wide.items():
                spill.add(to_array(part.column(name)))
        narrow = file.read([name for name in names if name not in wide])
        arrays = {name: to_column(spill.array()) for name, spill in wide.items()}
        columns = {name: arrays[name] if name in arrays else narrow.column(name) for name in names}
        return pa.table(columns, metadata=file.schema_arrow.metadata)


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
