"""Raw texts in each of their formats -> examples."""

from pathlib import Path

import pyarrow as pa

from closedloop.data.archives import read_archive
from closedloop.data.columns import framed, require_columns
from closedloop.data.examples import GROUP, ID, LABEL, PART
from closedloop.data.tables import read_table
from closedloop.data.text_table import read_text_table
from closedloop.errors import DataError
from closedloop.tasks.schema import RawFormat, TextArchive, TextColumns, TextFile, TextTable
from closedloop.tasks.texts.request import TEXT


def read(raw: Path, config: RawFormat) -> pa.Table:
    """The examples of all parts; raises DataError that says what is wrong with which file."""
    match config:
        case TextTable():
            return _lines(raw, config)
        case TextColumns():
            return _columns(raw, config)
        case TextArchive():
            return _files(raw, config)
        case TextFile():
            return _passages(raw / config.parts[0].file, config)
    raise DataError(f"source.format.name {config} is no format of texts")


def _passages(file: Path, config: TextFile) -> pa.Table:
    """Passages in the order of the text; the last ones are the official test part.

    The others are split as any examples are, not by their order: what stands just before the test part is in the plays,
    names and words that it goes on with, and a model that never saw it loses 0.2 nats.
    """
    if not file.is_file():
        raise DataError(f"{file} is missing; run the acquire stage")
    content = file.read_bytes()
    try:
        text = content.decode(config.encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"{file}, line {line}: byte {content[error.start]:#04x} is not {config.encoding} (source.format.encoding)"
        ) from None
    cut = len(text) - round(config.test_share * len(text))
    pieces = [(part, whole) for part, whole in (("train", text[:cut]), ("test", text[cut:]))]
    found = [
        (part, whole[start : start + config.passage])
        for part, whole in pieces
        for start in range(0, len(whole) - config.passage + 1, config.passage)
    ]
    if {part for part, _ in found} != {"train", "test"}:
        raise DataError(
            f"{file} has {len(text):,} characters, too few to cut passages of {config.passage} from training and test "
            "(source.format.passage)"
        )
    return pa.table(
        {
            ID: pa.array([f"{part}-{row:06d}" for row, (part, _) in enumerate(found)], pa.string()),
            PART: pa.array([part for part, _ in found], pa.string()),
            TEXT: pa.array([piece for _, piece in found], pa.string()),
            LABEL: pa.array([""] * len(found), pa.string()),
        }
    )


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


def _files(raw: Path, config: TextArchive) -> pa.Table:
    def text(content: bytes) -> str:
        try:
            return content.decode(config.encoding).removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            raise ValueError(
                f"line {line}: byte {content[error.start]:#04x} is not {config.encoding} (source.format.encoding)"
            ) from None

    parts = [(part, read_archive(raw / part.archive, config.pattern, ".txt", "texts", text)) for part in config.parts]
    found = [(config.split(one.groups, part), one) for part, entries in parts for one in entries]
    columns = {
        ID: [one.name for _, one in found],
        PART: [split for split, _ in found],
        TEXT: [one.content for _, one in found],
        LABEL: [one.groups["label"] for _, one in found],
    }
    if config.grouped:
        columns[GROUP] = [one.groups["group"] for _, one in found]
    return pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()})
