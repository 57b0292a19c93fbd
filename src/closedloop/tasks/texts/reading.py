"""Raw texts in each of their formats -> examples."""

from pathlib import Path

import pyarrow as pa

from closedloop.data.columns import framed, require_columns
from closedloop.data.examples import ID, LABEL, PART
from closedloop.data.tables import read_table
from closedloop.data.text_table import read_text_table
from closedloop.errors import DataError
from closedloop.tasks.schema import RawFormat, TextColumns, TextTable
from closedloop.tasks.texts.request import TEXT


def read(raw: Path, config: RawFormat) -> pa.Table:
    """The examples of all parts; raises DataError that says what is wrong with which file."""
    match config:
        case TextTable():
            return _lines(raw, config)
        case TextColumns():
            return _columns(raw, config)
    raise DataError(f"source.format.name {config} is no format of texts")


def _lines(raw: Path, config: TextTable) -> pa.Table:
    parts = []
    for part in config.parts:
        found, labels = read_text_table(raw / part.file, part, config)
        columns = {
            ID: [f"{part.split}-{row:06d}" for row in range(len(found))],
            PART: [part.split] * len(found),
            TEXT: found,
            LABEL: labels,
        }
        parts.append(pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()}))
    return pa.concat_tables(parts)


def _columns(raw: Path, config: TextColumns) -> pa.Table:
    parts = []
    for part in config.parts:
        path = raw / part.file
        table = read_table(path, config.layout, untouched=config.text)
        require_columns(table, config, str(path))
        column = table.column(config.text)
        if not pa.types.is_string(column.type):
            raise DataError(
                f"{path}: column {config.text}, which source.format.text names, holds numbers, and no texts"
            )
        parts.append(framed(table, part.split, config, {TEXT: column.fill_null("")}, str(path)))
    return pa.concat_tables(parts)
