"""What a look at a user's data comes to."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol


@dataclass(frozen=True)
class Asked:
    """What the user has said about the data."""

    task: str
    path: Path  # absolute
    target: str = ""
    text: str = ""  # of a table: the column that holds the texts
    columns: tuple[str, ...] = ()  # of delimited text: where no header names them


@dataclass(frozen=True)
class RawFile:
    """One file as acquire will place it under data/<task>/raw/."""

    name: str
    unpack: str = "none"  # or gzip, or zip
    member: str = ""  # of a zip
    below: str = ""  # its path in the user's folder, where not all of that becomes one file


def file_name(name: str) -> str:
    """A name for a raw file that says the same without spaces and signs."""
    return re.sub(r"[^\w.-]", "_", name).lstrip(".-") or "data"


@dataclass(frozen=True)
class Row:
    """One line of what is told about the data: of a column, or of a class."""

    name: str
    taken_as: str
    holds: str
    why: str = ""


@dataclass(frozen=True)
class Proposal:
    """A task and its source, up to what depends on the numbers of examples."""

    kind: str
    why: str  # of the kind, in words
    form: str  # of the data, in words
    content: str  # what is in them, in words
    format: dict[str, Any]  # source.format, with notes
    classes: dict[str, int]  # with their examples; of numbers, ranges; of a running text, none
    target: Literal["classes", "number", "text"] = "classes"
    left_out: dict[str, int] = field(default_factory=dict)  # labels that become no class
    title: str = ""
    rows: tuple[Row, ...] = ()
    checks: tuple[str, ...] = ()  # what needs a person's eye
    number: str = ""  # where the target is one: how it is distributed, in words
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)  # of the task, by section, that the data call for


class Recogniser(Protocol):
    """One form of data that `new` can look at."""

    @property
    def form(self) -> str:
        """What it recognises, in words."""

    def recognises(self, path: Path) -> bool: ...

    def place(self, path: Path) -> list[RawFile]:
        """How acquire is to place it: at least one file."""

    def look(self, raw: Path, asked: Asked) -> Proposal:
        """Look at the data where acquire has placed them, the first file at `raw` and the others beside it.

        Raises DataError that says what is wrong with them.
        """
