"""The columns of a raw table that every example has beside its content: id, label, group, time."""

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from closedloop.data.examples import GROUP, ID, LABEL, PART, TIME, UNLABELLED
from closedloop.data.tables import try_numbers
from closedloop.data.times import parse_times
from closedloop.errors import DataError

if TYPE_CHECKING:
    from closedloop.tasks.schema import Rows

EXACT = 2**53  # up to which whole numbers are written without an exponent


def require_columns(table: pa.Table, config: "Rows", where: str) -> None:
    """Raise DataError when a configured column is absent: it names the key, and what was probably meant."""
    found = table.column_names
    for role, names in config.roles.items():
        absent = [name for name in names if name not in found]
        if absent:
            raise DataError(
                f"{where} has no column {', '.join(map(repr, absent))}{near_miss(absent[0], found)}, which "
                f"source.format.{role} names; its columns are {listed(found)}"
            )


def framed(
    table: pa.Table,
    split: str,
    config: "Rows",
    content: dict[str, pa.Array | pa.ChunkedArray],
    where: str,
    *,
    labels: pa.ChunkedArray | None = None,
) -> pa.Table:
    """The rows of one part as examples: id, part, content, label, and perhaps group and time.

    `labels` are those of the target's column where its texts are not meant as they are.

    A row without a label is labelled so that it belongs to no class. Raises DataError for a row without a time, where
    there are times.
    """
    rows = table.num_rows
    columns = {
        ID: as_text(table.column(config.id)) if config.id else counted(split, rows),
        PART: pa.repeat(split, rows),
        **content,
        LABEL: (as_text(table.column(config.target)) if labels is None else labels).fill_null(UNLABELLED),
    }
    if config.group:
        columns[GROUP] = as_text(table.column(config.group))
    if config.time:
        columns[TIME] = parse_times(table.column(config.time), config.time_format, f"{where}: column {config.time}")
    return pa.table(columns)


def counted(split: str, rows: int) -> pa.Array:
    """Ids for rows that have none."""
    numbers = pc.utf8_lpad(pa.array(range(rows), pa.int64()).cast(pa.string()), 6, "0")
    return pc.binary_join_element_wise(pa.scalar(f"{split}-"), numbers, "")


def as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as text; whole numbers without a fraction, as 1 and 1.0 are the same name."""
    if not pa.types.is_floating(column.type):
        return column
    names = [
        None if value is None else f"{value:.0f}" if value.is_integer() else repr(value) for value in column.to_pylist()
    ]
    return pa.chunked_array([pa.array(names, pa.string())])


def number_labels(column: pa.ChunkedArray, decimal: str) -> pa.ChunkedArray:
    """Numbers as texts in one notation; what is no number stays as it is, for validation to report."""
    numbers, wrong = try_numbers(column, decimal)
    texts = [
        None if value is None else f"{value:.0f}" if value.is_integer() and abs(value) < EXACT else repr(value)
        for value in numbers.to_pylist()
    ]
    for row in wrong.tolist():
        texts[row] = str(column[row].as_py())
    return pa.chunked_array([pa.array(texts, pa.string())])


def near_miss(name: str, found: Sequence[str]) -> str:
    """A hint at what was probably meant."""
    alike = {one.lower(): one for one in found}
    close = difflib.get_close_matches(name.lower(), alike, 1)
    return f" (did you mean {alike[close[0]]!r}?)" if close else ""


def listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:40]) for name in names[:30]) + (
        f" and {len(names) - 30} more" if len(names) > 30 else ""
    )
