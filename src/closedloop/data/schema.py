"""The configuration of files that hold a table: how they are written, and what in them means a missing value."""

from typing import Annotated, Literal

from pydantic import Field

from closedloop.section import Section


class _Layout(Section):
    missing: list[str] = [""]  # texts that stand for a missing value, spaces around them left out
    decimal: Literal[".", ","] = "."  # of numbers written as text


class Delimited(_Layout):
    """Text with a row a line: CSV, TSV and the like."""

    name: Literal["delimited"]
    delimiter: Annotated[str, Field(pattern=r"^[^\w\n\r\"]$")] = ","  # one character; "\t" for TSV
    columns: Annotated[list[str], Field(min_length=1)] | None = None  # where no header row names them
    quote: Annotated[str, Field(max_length=1)] = '"'  # "": a quote is a character like others
    encoding: str = "utf-8"


class Parquet(_Layout):
    name: Literal["parquet"]


class JsonLines(_Layout):
    """A JSON object a line; a field that is absent, or null, is missing."""

    name: Literal["json_lines"]


Layout = Annotated[Delimited | Parquet | JsonLines, Field(discriminator="name")]
