"""Tables in delimited text, Parquet or JSON lines, read into columns of text and of numbers."""

import codecs
import csv
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from closedloop.data.schema import Delimited, JsonLines, Layout, Parquet
from closedloop.errors import DataError

NAMED = 5  # offending rows that an error names
BLOCK = 1 << 24  # bytes of a file that are read at a time
SHOWN = 40  # characters of a value that an error shows


def read_table(path: Path, layout: Layout, untouched: str = "", numbers: Collection[str] = ()) -> pa.Table:
    """Read a file as columns of text (string) or numbers (float64), null where a value is missing.

    Text is stripped of spaces around it, but for the column `untouched`, in which nothing stands for a missing value.
    Delimited columns are all text, but for those of `numbers` whose values all are some: read block by block, they take
    a fraction of the text's room. Rows are counted from 1, without a header.
    Raises DataError when the file is missing, empty or not in the layout: it names the row.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing; run the acquire stage")
    match layout:
        case Delimited():
            return _read_delimited(path, layout, untouched, frozenset(numbers))
        case Parquet():
            table = _read_parquet(path)
        case JsonLines():
            table = _read_json_lines(path)
    _require_rows(path, table)
    return pa.table(
        {
            name: _normal(table.column(name), layout, f"{path}: column {name}", as_it_is=name == untouched)
            for name in table.column_names
        }
    )


def _require_rows(path: Path, table: pa.Table) -> None:
    if table.num_rows == 0:
        raise DataError(f"{path} holds no rows")


def parse_numbers(column: pa.ChunkedArray, where: str, remedy: str, decimal: str = ".") -> pa.Array:
    """A column of text or numbers as float64, null where it was; `decimal` is the mark before the fraction.

    Raises DataError that names the first rows whose value is no finite number; `remedy` says what to do about them.
    """
    parsed, wrong = try_numbers(column, decimal)
    if len(wrong):
        values = column.take(pa.array(wrong[:NAMED])).to_pylist()
        shown = ", ".join(f"row {row + 1} {str(value)[:SHOWN]!r}" for row, value in zip(wrong, values, strict=False))
        raise DataError(f"{where}: {len(wrong)} of {len(column)} values are no finite numbers, first {shown}; {remedy}")
    return parsed


def try_numbers(column: pa.ChunkedArray | pa.Array, decimal: str = ".") -> tuple[pa.Array, NDArray[np.intp]]:
    """A column as float64, and the rows whose value is no finite number."""
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not pa.types.is_floating(flat.type) and decimal == ".":
        try:
            flat = flat.cast(pa.float64())
        except pa.ArrowInvalid:
            pass  # there is something that is no number, or that only Python takes for one
        else:
            values = flat.to_numpy(zero_copy_only=False)
            return flat, np.flatnonzero(~np.isfinite(values) & flat.is_valid().to_numpy(zero_copy_only=False))
    if pa.types.is_floating(flat.type):
        values = flat.to_numpy(zero_copy_only=False)
        return flat, np.flatnonzero(np.isinf(values))
    encoded = flat.dictionary_encode()  # each distinct text once
    numbers = np.array([_number(text, decimal) for text in encoded.dictionary.to_pylist()] + [np.nan])
    codes = encoded.indices.fill_null(len(numbers) - 1).to_numpy()
    values = numbers[codes]
    absent = flat.is_null().to_numpy(zero_copy_only=False)
    return pa.array(values, pa.float64(), mask=absent), np.flatnonzero(~np.isfinite(values) & ~absent)


def _number(text: str, decimal: str) -> float:
    if "_" in text or (decimal == "," and "." in text):  # Python's 1_000 is nobody else's; 1.000 is a thousand, or one
        return np.nan
    try:
        return float(text.replace(decimal, "."))
    except ValueError:
        return np.nan


def _read_delimited(path: Path, layout: Delimited, untouched: str, numbers: frozenset[str]) -> pa.Table:
    names, header_lines = (layout.columns, 0) if layout.columns else _header(path, layout)
    _distinct(path, names)
    wrong: list[tuple[int, int]] = []

    def note(row: Any) -> str:
        wrong.append((row.number, row.actual_columns))
        return "skip"

    broken: set[str] = set()  # columns of numbers with something else among them

    def read(name: str, column: pa.Array) -> pa.Array:
        text = _normal(column, layout, f"{path}: column {name}", as_it_is=name == untouched)
        if name not in numbers or name in broken:
            return text
        parsed, odd = try_numbers(text, layout.decimal)
        if len(odd):
            broken.add(name)
        return parsed

    try:
        reader = pacsv.open_csv(
            path,
            pacsv.ReadOptions(
                use_threads=False,  # with threads nobody knows the number of a row
                encoding=layout.encoding,
                column_names=names,
                skip_rows=header_lines,
                block_size=BLOCK,
            ),
            pacsv.ParseOptions(
                delimiter=layout.delimiter,
                quote_char=layout.quote or False,
                newlines_in_values=bool(layout.quote),
                invalid_row_handler=note,
            ),
            pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), null_values=[]),
        )
        blocks = [pa.record_batch([read(*one) for one in zip(names, batch, strict=True)], names) for batch in reader]
    except (pa.ArrowInvalid, UnicodeError, LookupError) as error:
        raise DataError(_unreadable(path, layout, error)) from None
    schema = blocks[0].schema if blocks else pa.schema([(name, pa.string()) for name in names])
    rows = sum(block.num_rows for block in blocks)
    if wrong:
        row, columns = wrong[0]
        row -= header_lines  # the header is no row
        hint = "" if rows else f" Is its first line, {','.join(names)[:SHOWN]!r}, the header?"
        raise DataError(
            f"{path}: {len(wrong)} of {rows + len(wrong)} rows do not have {len(names)} columns, first row "
            f"{row} with {columns}; is {layout.delimiter!r} the delimiter (layout.delimiter), and is a value with "
            f"it inside quoted (layout.quote)?{hint}"
        )
    if broken:  # as text, so that the values can be named
        return _read_delimited(path, layout, untouched, numbers - broken)
    table = pa.Table.from_batches(blocks, schema)
    _require_rows(path, table)
    return table


def _header(path: Path, layout: Delimited) -> tuple[list[str], int]:
    """The names, and how many lines they take: a quoted name may hold a line end."""
    try:
        with path.open(encoding="utf-8-sig" if layout.encoding == "utf-8" else layout.encoding, newline="") as file:
            quoting = {"quotechar": layout.quote} if layout.quote else {"quoting": csv.QUOTE_NONE}
            reader = csv.reader(file, delimiter=layout.delimiter, **quoting)
            names = next(reader, [])
    except (UnicodeError, LookupError, csv.Error) as error:
        raise DataError(_unreadable(path, layout, error)) from None
    if not names:
        raise DataError(f"{path} is empty, or its first line is: there must be a header, or layout.columns")
    # pandas and R write row numbers under no name, and some exports end every line with a delimiter
    return [name.strip() or f"column {place}" for place, name in enumerate(names, 1)], reader.line_num


def _distinct(path: Path, names: Iterable[str]) -> None:
    names = list(names)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(
            f"{path} has columns of the same name: {', '.join(map(repr, repeated))}; mend its first line, or name the "
            "columns in layout.columns"
        )


def _unreadable(path: Path, layout: Delimited, error: Exception) -> str:
    if isinstance(error, LookupError):
        return f"layout.encoding {layout.encoding!r} is no encoding; utf-8, latin-1, cp1252 and utf-16 are usual ones"
    broken = _undecodable(path, layout.encoding)
    if broken is not None:
        return (
            f"{path} is not {layout.encoding}: line {broken} holds bytes that are none; set layout.encoding, "
            "perhaps to cp1252 or latin-1"
        )
    if "file is too short" in str(error):
        return f"{path} holds no rows"
    # what Arrow says may go on with the row itself
    return f"{path} is not readable as delimited text: {str(error).splitlines()[0][:200]}"


def _undecodable(path: Path, encoding: str) -> int | None:
    """The number of the first line that is not in the encoding."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode(encoding)
            except UnicodeError:
                return number
    return None


def _read_parquet(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path} is not a readable Parquet file ({error})") from None


def _read_json_lines(path: Path) -> pa.Table:
    rows: list[dict[str, Any]] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = orjson.loads(line.removeprefix(codecs.BOM_UTF8))
            except orjson.JSONDecodeError as error:
                raise DataError(f"{path}: line {number} is not JSON: {str(error)[:100]}") from None
            if not isinstance(row, dict):
                raise DataError(f"{path}: line {number} is no JSON object")
            rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    return pa.table({name: _typed(values, f"{path}: field {name}") for name, values in columns.items()})


def _typed(values: list[Any], where: str) -> pa.Array:
    kinds: dict[type, int] = {}
    for row, value in enumerate(values):
        kind = float if type(value) in (int, float) else type(value)
        if value is not None:
            kinds.setdefault(kind, row)
    if len(kinds) > 1 or not kinds.keys() <= {float, str, bool}:
        found = ", ".join(f"{_json_name(kind)} in row {row + 1}" for kind, row in kinds.items())
        raise DataError(f"{where} holds {found}: it must hold numbers, texts or booleans, and only one of them")
    if float in kinds:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array(values, pa.bool_() if bool in kinds else pa.string())


def _json_name(kind: type) -> str:
    return {float: "a number", str: "a text", bool: "a boolean", list: "a list", dict: "an object"}[kind]


def _normal(column: pa.ChunkedArray | pa.Array, layout: Layout, where: str, *, as_it_is: bool) -> Any:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = column.cast(pa.float64(), safe=False)
        return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return _iso(column)
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise DataError(
            f"{where} is {kind}: numbers, text, booleans, dates and timestamps can be read; leave it out of the file"
        )
    if as_it_is:
        return column.cast(pa.string())
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    return pc.if_else(pc.is_in(text, pa.array(layout.missing, pa.string())), pa.scalar(None, pa.string()), text)


def _iso(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Dates and timestamps as text in ISO 8601, with a zone as UTC."""
    if pa.types.is_timestamp(column.type) and column.type.tz:
        return pc.strftime(column.cast(pa.timestamp("us", "UTC")), "%Y-%m-%dT%H:%M:%S+00:00")
    return column.cast(pa.string())
