"""A table, or a table of texts: its layout, its columns, and what in them needs a person's eye."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from closedloop.data.archives import files
from closedloop.data.columns import as_text, listed, near_miss
from closedloop.data.schema import Delimited, JsonLines, Layout, Parquet
from closedloop.data.tables import read_table
from closedloop.errors import DataError
from closedloop.onboarding.columns import Column, has_decimal_comma, judge, missing_markers
from closedloop.onboarding.dialect import find_layout
from closedloop.onboarding.proposal import Asked, Proposal, RawFile, Row, file_name
from closedloop.onboarding.roles import Labelled, settle
from closedloop.onboarding.sections import table_format, text_format, text_settings
from closedloop.onboarding.splitting import splittable
from closedloop.onboarding.target import find_labels, find_numbers, is_quantity

NAMED_TABLES = (".csv", ".tsv", ".tab")
PARQUET, JSON_LINES = (".parquet", ".pq"), (".jsonl", ".ndjson", ".json")
FEW_FILES = 10  # in a zip: a table, and what is said about it
DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


class Tables:
    form = "a table, or texts in a table: .csv, .tsv, .parquet, .jsonl, each also as .gz, or alone in a .zip"

    def recognises(self, path: Path) -> bool:
        if path.is_file() and path.suffix.lower() == ".zip":
            return _alone_in(path) is not None
        return path.is_file() and _unpacked(path).suffix.lower() in (*NAMED_TABLES, *PARQUET, *JSON_LINES)

    def place(self, path: Path) -> list[RawFile]:
        if member := _alone_in(path):
            return [RawFile(file_name(member.rpartition("/")[2]), "zip", member)]
        return [RawFile(file_name(_unpacked(path).name), "none" if _unpacked(path) == path else "gzip")]

    def look(self, raw: Path, asked: Asked) -> Proposal:
        """Raises DataError when the file cannot be read, or the target is not named, or cannot be learnt."""
        where = str(asked.path)
        layout = _layout(raw, asked)
        first = read_table(raw, layout)
        of_numbers = is_quantity(_target(first, asked, where))
        plain, (layout, guessed) = layout, _with_markers(first, layout, asked, of_numbers)
        table = first if layout == plain else read_table(raw, layout)
        found = find_numbers(table, asked, layout.decimal, where) if of_numbers else find_labels(table, asked, where)
        judged = [
            judge(name, table.column(name), layout.decimal) for name in table.column_names if name != asked.target
        ]
        rows = Labelled(table, found.labels, found.classes, layout.decimal, found.numbers)
        columns = splittable(settle(judged, rows, asked), rows)
        text = next((one.name for one in columns if one.role == "text"), None)
        if text and found.number:
            raise DataError(
                f"{where}: the target {asked.target!r} is a number ({found.number}), and {text!r} a text to read: of "
                "texts only classes are learnt; make a column of classes from it, such as low and high"
            )
        return Proposal(
            kind="texts" if text else "tables",
            why=_why(columns, text),
            form=_form(layout, asked.path),
            content=f"{table.num_rows:,} rows, {table.num_columns} columns{_gaps(table, columns)}",
            format=text_format(raw.name, text, asked.target, layout, columns)
            if text
            else table_format(raw.name, asked.target, layout, columns),
            classes=found.classes,
            left_out=found.left_out,
            target="number" if found.number else "classes",
            number=found.number,
            title=f"{asked.target} in {asked.path.name}",
            rows=tuple(Row(one.name, one.role, one.holds, one.why) for one in columns),
            checks=(*guessed, *(f"{one.name}: {one.why}" for one in columns if one.check)),
            settings=text_settings(table.column(text)) if text else {},
        )


def _why(columns: Sequence[Column], text: str | None) -> str:
    if text:
        return f"the column {text} is text to read"
    counts = {role: sum(one.role == role for one in columns) for role in ("number", "category")}
    words = {"number": "numbers", "category": "categories"}
    return "columns of " + " and ".join(f"{words[role]} ({count})" for role, count in counts.items() if count)


def _gaps(table: pa.Table, columns: Sequence[Column]) -> str:
    """How many rows lack a value that is learnt from."""
    kept = [table.column(one.name).is_null().to_numpy() for one in columns if one.role in ("number", "category")]
    lacking = int(np.any(kept, axis=0).sum()) if kept else 0
    return f"; {lacking:,} rows lack a value" if lacking else ""


def _alone_in(path: Path) -> str | None:
    """The table that a zip holds, where it is one and no other, with little beside it."""
    if path.suffix.lower() != ".zip" or not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        if len(archive.infolist()) > FEW_FILES:
            return None
        names = [name for ending in (*NAMED_TABLES, *PARQUET, *JSON_LINES) for name in _names(archive, ending)]
    return names[0] if len(names) == 1 else None


def _names(archive: zipfile.ZipFile, ending: str) -> list[str]:
    return [entry.filename for entry in files(archive, ending)]


def _unpacked(path: Path) -> Path:
    return path.with_suffix("") if path.suffix.lower() == ".gz" else path


def _layout(raw: Path, asked: Asked) -> Layout:
    suffix = raw.suffix.lower()
    if suffix in PARQUET:
        return Parquet(name="parquet")
    if suffix not in JSON_LINES:
        return find_layout(raw, asked.target, asked.columns)
    with raw.open("rb") as file:
        if file.read(100).lstrip().startswith(b"["):
            raise DataError(
                f"{asked.path} is one JSON array; JSON lines are read, an object a line. This makes them: "
                f"jq -c '.[]' {asked.path.name} > {asked.path.stem}.jsonl"
            )
    return JsonLines(name="json_lines")


def _with_markers(table: pa.Table, layout: Layout, asked: Asked, of_numbers: bool) -> tuple[Layout, list[str]]:
    """The layout with what stands for missing values, and what was guessed about it."""
    others = table.drop_columns([asked.target])
    if has_decimal_comma(table if of_numbers else others):
        layout = layout.model_copy(update={"decimal": ","})
    if of_numbers:
        markers, guessed = missing_markers(table, set(), layout.decimal)
    else:
        labels = as_text(table.column(asked.target)).drop_null().unique().to_pylist()
        markers, guessed = missing_markers(others, {text for text in labels if text}, layout.decimal)
    return layout.model_copy(update={"missing": markers}), guessed


def _target(table: pa.Table, asked: Asked, where: str) -> pa.ChunkedArray:
    names = table.column_names
    if not asked.target:
        raise DataError(
            f"{where}: which column is to be predicted? Say TARGET=…, one of {listed(names)}. Where these are values "
            "and no names, name the columns with COLUMNS=first,second,…"
        )
    if asked.target not in names:
        raise DataError(
            f"{where} has no column {asked.target!r}{near_miss(asked.target, names)}; its columns are {listed(names)}. "
            "Where no header names them, COLUMNS=first,second,… does"
        )
    return table.column(asked.target)


def _form(layout: Layout, path: Path) -> str:
    packed = {".gz": ", packed with gzip", ".zip": ", in a zip"}.get(path.suffix.lower(), "")
    match layout:
        case Delimited():
            name = DELIMITER_NAMES.get(layout.delimiter, repr(layout.delimiter))
            decimal = ", decimal comma" if layout.decimal == "," else ""
            header = ", no header" if layout.columns else ""
            quote = "" if layout.quote else ", quotation marks are characters"
            return f"delimited text, {name}, {layout.encoding}{decimal}{header}{quote}{packed}"
        case Parquet():
            return f"Parquet{packed}"
        case JsonLines():
            return f"JSON lines{packed}"
