"""Reads a zip of files in place: nothing is extracted, so neither paths nor sizes in it can do harm."""

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from closedloop.errors import DataError

MOST_BYTES = 64 << 20  # of one file, unpacked
NAMED = 10  # damaged files in a message
COVERED = "_covered"  # the group around the pattern

Content = TypeVar("Content")


@dataclass(frozen=True)
class Entry(Generic[Content]):
    """One file of an archive."""

    name: str  # as much of the path as the pattern covers, without the ending
    groups: dict[str, str]  # what the pattern finds in its name
    content: Content


def read_archive(
    path: Path, pattern: str, ending: str, what: str, convert: Callable[[bytes], Content]
) -> list[Entry[Content]]:
    """All files whose names have the ending, in the order of their names; `what` they are called in errors.

    `convert` makes the content of the bytes, or raises ValueError that says what is wrong with them. Raises DataError
    when the file is missing or no zip, holds no such files, or when some are damaged or named otherwise than the
    pattern says: it names the first ten.
    """
    found, wrong = [], []
    with opened(path) as archive:
        for entry in files(archive, ending):
            try:
                found.append(_read(archive, entry, pattern, convert))
            except ValueError as error:
                wrong.append(f"{entry.filename!r}: {error}")
    if wrong:
        rest = f"\n  and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        listed = "\n  ".join(wrong[:NAMED])
        raise DataError(f"{len(wrong)} {what} in {path} cannot be used:\n  {listed}{rest}")
    if not found:
        raise DataError(f"{path} holds no file whose name ends in {ending}")
    return found


def opened(path: Path) -> zipfile.ZipFile:
    """Open an archive; raises DataError when it is missing or no zip."""
    if not path.is_file():
        raise DataError(f"{path} is missing; run the acquire stage")
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is no zip archive, or a damaged one ({error}); acquire it again") from None


def files(archive: zipfile.ZipFile, ending: str) -> Iterator[zipfile.ZipInfo]:
    """The files whose names have an ending, in capitals or not, in the order of their names."""
    for entry in sorted(archive.infolist(), key=lambda entry: entry.filename):
        base = entry.filename.rpartition("/")[2]
        # macOS puts a file of its own beside each: ._name.wav
        if base.lower().endswith(ending) and not base.startswith("."):
            yield entry


def unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The bytes of a file; raises ValueError that says why it cannot be unpacked."""
    try:
        with archive.open(entry) as file:
            content = file.read(MOST_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise ValueError(f"it cannot be unpacked ({error})") from None
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed by a method that Python lacks
        raise ValueError(f"it cannot be unpacked ({error}); pack it anew without") from None
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES} bytes")
    return content


def _read(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, pattern: str, convert: Callable[[bytes], Content]
) -> Entry[Content]:
    """Raises ValueError that says what is wrong with the file."""
    # the pattern may begin at any folder, as some data sets say the label there
    match = re.fullmatch(f"(?:.*/)?(?P<{COVERED}>{pattern})", entry.filename)
    if match is None:
        raise ValueError(f"its name does not fit source.format.pattern {pattern!r}")
    groups = match.groupdict()
    name = groups.pop(COVERED).rpartition(".")[0]
    return Entry(name, groups, convert(unpacked(archive, entry)))
