"""Reads a zip of files in place: nothing is extracted, so neither paths nor sizes in it can do harm."""

import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from tqdm import tqdm

from closedloop.errors import DataError

MOST_BYTES = 64 << 20  # of one file, unpacked
NAMED = 10  # damaged files in a message
COVERED = "_covered"  # the group around the pattern
DAMAGED = (  # what the readers of archives raise over bytes that are not as they should be
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError),
    *(MemoryError, OSError, ValueError, RuntimeError),  # NotImplementedError is a RuntimeError
)

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
    """`read_contents` of files whose names tell something; one that the pattern does not fit cannot be used."""

    def entry(name: str, content: bytes) -> Entry[Content]:
        # the pattern may begin at any folder, as some data sets say the label there
        match = re.fullmatch(f"(?:.*/)?(?P<{COVERED}>{pattern})", name)
        if match is None:
            raise ValueError(f"its name does not fit source.format.pattern {pattern!r}")
        groups = match.groupdict()
        return Entry(groups.pop(COVERED).rpartition(".")[0], groups, convert(content))

    return read_contents(path, ending, what, entry)


def read_contents(path: Path, ending: str, what: str, convert: Callable[[str, bytes], Content]) -> list[Content]:
    """All files whose names have the ending, in the order of their names; `what` they are called in errors.

    `convert` makes the content of name and bytes, or raises ValueError that says what is wrong with them. Raises
    DataError when the archive is missing or no zip, holds no such files, or when some cannot be used: it names the
    first ten.
    """
    found, wrong = [], []
    with opened(path) as archive:
        for entry in tqdm(list(files(archive, ending)), desc=what, unit="file", delay=0.5):
            try:
                found.append(convert(entry.filename, _unpacked(archive, entry)))
            except ValueError as error:
                wrong.append(f"{entry.filename!r}: {error}")
    if wrong:
        rest = f"\n  and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        listed = "\n  ".join(wrong[:NAMED])
        raise DataError(f"{len(wrong)} {what} in {path} cannot be used:\n  {listed}{rest}")
    if not found:
        raise DataError(f"{path} holds no file whose name ends in {ending}")
    return found


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Whatever a reader raises over damaged bytes becomes a DataError."""
    try:
        yield
    except DAMAGED as error:
        raise DataError(f"{path} is damaged ({str(error) or type(error).__name__}); acquire it again") from None


def opened(path: Path) -> zipfile.ZipFile:
    """Open an archive; raises DataError when it is missing or no zip."""
    if not path.is_file():
        raise DataError(f"{path} is missing; run the acquire stage")
    try:
        return zipfile.ZipFile(path)
    except DAMAGED as error:
        raise DataError(f"{path} is no zip archive, or a damaged one ({error}); acquire it again") from None


def files(archive: zipfile.ZipFile, *endings: str) -> Iterator[zipfile.ZipInfo]:
    """The files whose names have one of the endings, in capitals or not, in the order of their names."""
    for entry in sorted(archive.infolist(), key=lambda entry: entry.filename):
        base = entry.filename.rpartition("/")[2]
        # macOS puts a file of its own beside each: ._name.wav
        if base.lower().endswith(endings) and not base.startswith("."):
            yield entry


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The bytes of a file; raises ValueError that says why it cannot be unpacked."""
    try:
        with archive.open(entry) as file:
            content = file.read(MOST_BYTES + 1)
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed by a method that Python lacks
        raise ValueError(f"it cannot be unpacked ({error}); pack it anew without") from None
    except DAMAGED as error:
        raise ValueError(f"it cannot be unpacked ({str(error) or type(error).__name__})") from None
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES} bytes")
    return content
