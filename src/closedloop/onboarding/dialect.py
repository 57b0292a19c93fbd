"""How a text file is written: its encoding, its columns and their delimiter, whether quotation marks enclose values."""

import codecs
import csv
import io
from collections.abc import Sequence
from pathlib import Path

from closedloop.data.schema import Delimited
from closedloop.errors import DataError
from closedloop.files import CHUNK

DELIMITERS = (",", ";", "\t", "|")
LINES = 500  # that the delimiter is found by
FEWEST_ROWS = 3  # of a table
RECTANGULAR = 0.9  # share of the rows that have as many values as the header, with the right delimiter


def find_encoding(path: Path) -> str:
    """The encoding of a text file, of those that a spreadsheet or a database writes.

    A byte order mark says it; zero bytes betray UTF-16; otherwise it is the first of UTF-8, CP1252 and Latin-1 that the
    whole file is in. Raises DataError when the file is empty, or is no text.
    """
    with path.open("rb") as file:
        head = file.read(CHUNK)
    if not head:
        raise DataError(f"{path} is empty")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    zeros = [head[start::2].count(0) / max(1, len(head[start::2])) for start in (0, 1)]
    if max(zeros) > 0.3 and min(zeros) < 0.1:
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    if 0 in head:
        raise DataError(f"{path} is no text: it holds zero bytes")
    return next(name for name in ("utf-8", "cp1252", "latin-1") if _is_in(path, name))


def _is_in(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        try:
            while chunk := file.read(CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def find_layout(path: Path, target: str, columns: Sequence[str] | None) -> Delimited:
    """How a delimited file is written; `columns` names them where no header does.

    The delimiter is the one by which most rows have as many values as the first, the header names the target, and there
    are most columns.
    """
    encoding = find_encoding(path)
    lines = _first_lines(path, encoding)
    text = "".join(lines)

    def rating(delimiter: str) -> tuple[bool, bool, int]:
        header, alike = _alike(_rows(text, delimiter))
        fits = len(columns) == len(header) if columns else target in header
        return fits, len(header) > 1 and alike >= RECTANGULAR, len(header)

    delimiter = max(DELIMITERS, key=rating)
    quote = "" if _quotes_are_characters(lines, delimiter) else '"'
    return Delimited(
        name="delimited",
        delimiter=delimiter,
        columns=list(columns) if columns else None,
        quote=quote,
        encoding=encoding,
    )


def share_in_columns(path: Path, encoding: str) -> float:
    """The share of the first rows that have as many values as the first one, and more than one, by the best delimiter.

    Of three rows and more: what fewer have in common is chance.
    """
    text = "".join(_first_lines(path, encoding))
    tables = [rows for rows in (_rows(text, delimiter) for delimiter in DELIMITERS) if len(rows) >= FEWEST_ROWS]
    found = [_alike(rows) for rows in tables]
    return max((alike for header, alike in found if len(header) > 1), default=0.0)


def _first_lines(path: Path, encoding: str) -> list[str]:
    known = "utf-8-sig" if encoding == "utf-8" else encoding
    with path.open(encoding=known, errors="replace", newline="") as file:  # what cannot be read, reading it all tells
        return [line for line, _ in zip(file, range(LINES), strict=False)]


def _alike(rows: Sequence[Sequence[str]]) -> tuple[list[str], float]:
    """The values of the first row, and the share of the rows that have as many."""
    header = [name.strip() for name in rows[0]] if rows else []
    return header, sum(len(row) == len(header) for row in rows) / max(1, len(rows))


def _rows(text: str, delimiter: str) -> list[list[str]]:
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    except csv.Error:
        return []
    return rows[:-1] if len(rows) > LINES // 2 else rows  # the last may go on in a line that has not been read


def _quotes_are_characters(lines: Sequence[str], delimiter: str) -> bool:
    """Whether quotation marks stand in values as they do in messages, and no value is enclosed in them."""
    fields = [field.strip() for line in lines for field in line.split(delimiter)]
    opened = [field for field in fields if field.startswith('"')]
    closed = [field for field in opened if len(field) > 1 and field.endswith('"')]
    widths = {line.count(delimiter) for line in lines if line.strip()}
    return any('"' in line for line in lines) and len(widths) == 1 and 2 * len(closed) <= len(opened)
