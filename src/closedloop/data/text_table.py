"""Texts and their labels in two columns of a delimited file without a header and without quoting."""

from pathlib import Path

from closedloop.errors import DataError
from closedloop.tasks.schema import TextPart, TextTable


def read_text_table(path: Path, part: TextPart, config: TextTable) -> tuple[list[str], list[str]]:
    """The texts and the labels of a file, in the order of its lines; empty lines are left out.

    A line ends with a line feed (a carriage return before it belongs to the ending), so that no other character of a
    text can end it. Raises DataError when the file is missing, is not in the encoding, holds nothing, or a line has
    another number of fields than the first.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing; run the acquire stage")
    content = path.read_bytes()
    try:
        lines = content.decode(config.encoding).removeprefix("\ufeff").split("\n")
    except UnicodeDecodeError as error:
        place = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path}, line {place}: byte {content[error.start]:#04x} is not {config.encoding}; name the file's "
            "encoding in source.format.encoding"
        ) from None
    texts, labels = [], []
    expected, needed = 0, 1 + max(part.text_column, part.label_column)
    for number, line in enumerate(lines, 1):
        if not line.strip("\r"):
            continue
        fields = line.removesuffix("\r").split(config.delimiter)
        expected = expected or len(fields)
        if len(fields) < needed or len(fields) != expected:
            raise DataError(
                f"{path}, line {number} has {len(fields)} fields, {max(needed, expected)} are expected; see "
                "source.format.delimiter and the columns in source.format.parts"
            )
        texts.append(fields[part.text_column])
        labels.append(fields[part.label_column])
    if not texts:
        raise DataError(f"{path} holds no texts; acquire it again")
    return texts, labels
