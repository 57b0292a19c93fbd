"""Points in time as they stand in tables: written out in one of a few formats, or as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from closedloop.errors import DataError

NUMBER = "number"  # later times are greater numbers, as years and seconds since some day are
ISO = "iso"  # ISO 8601, with or without a time of day; without a zone it is taken for UTC
FORMATS = (
    *("%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d.%m.%y"),
    *("%d/%m/%Y", "%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%d/%m/%y"),
    *("%m/%d/%Y", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%y", "%m/%d/%Y %I:%M %p", "%m/%d/%Y %I:%M:%S %p"),
    *("%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%d-%m-%Y", "%d %b %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%Y-%m"),
)
NAMED = 5  # offending rows that an error names


@dataclass(frozen=True)
class TimeFormat:
    """How times are written: `iso`, `number`, or a format of Python's strptime."""

    pattern: str
    ambiguous: bool = False  # whether another format fits as well, and orders them otherwise


def find_time_format(texts: Sequence[str]) -> TimeFormat | None:
    """The format that all texts are written in; None when there is none."""
    fitting = {pattern: read for pattern in (ISO, *FORMATS) if (read := _read_all(texts, pattern))}
    if not fitting:
        return None
    orders = {tuple(np.argsort(read, kind="stable")) for read in fitting.values()}
    return TimeFormat(next(iter(fitting)), ambiguous=len(orders) > 1)


def _read_all(texts: Sequence[str], pattern: str) -> list[float] | None:
    try:
        return [read_time(text, pattern) for text in texts]  # most formats fail at the first
    except ValueError:
        return None


def read_time(text: str, pattern: str) -> float:
    """Seconds since 1970, UTC, or the number itself; raises ValueError for another text than the pattern allows."""
    if pattern == NUMBER:
        return float(text)
    if pattern == ISO:
        if text.isdigit():  # 20261231 is a number before it is a day
            raise ValueError("no ISO 8601 with separators")
        moment = datetime.fromisoformat(text)
    else:
        moment = datetime.strptime(text, pattern)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def parse_times(column: pa.ChunkedArray, pattern: str, where: str) -> pa.Array:
    """A column as float64 whose order is that of the times: seconds since 1970, or the numbers themselves.

    Raises DataError that names the first rows without a time, or with another text than the pattern allows.
    """
    if column.null_count:
        empty = np.flatnonzero(column.is_null().to_numpy())
        raise DataError(
            f"{where}: {len(empty)} of {len(column)} rows have no time, first row {empty[0] + 1}; fill it in, or leave "
            "these rows out of the file"
        )
    flat = column.combine_chunks()
    if pa.types.is_floating(flat.type):
        return flat
    encoded = flat.dictionary_encode()  # each distinct text once
    read = np.array([_time_or_nan(text, pattern) for text in encoded.dictionary.to_pylist()])
    times = read[encoded.indices.to_numpy()]
    wrong = np.flatnonzero(np.isnan(times))
    if len(wrong):
        values = flat.take(pa.array(wrong[:NAMED])).to_pylist()
        shown = ", ".join(f"row {row + 1} {text[:40]!r}" for row, text in zip(wrong, values, strict=False))
        raise DataError(
            f"{where}: {len(wrong)} of {len(flat)} values are no times in the format {pattern!r}, first {shown}; mend "
            "them, or change source.format.time_format"
        )
    return pa.array(times, pa.float64())


def _time_or_nan(text: str, pattern: str) -> float:
    try:
        return read_time(text, pattern)
    except ValueError:
        return float("nan")
