"""Reads a zip of WAV files in place: nothing is extracted, so neither paths nor sizes in it can do harm."""

import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from closedloop.errors import DataError
from closedloop.tasks.sounds.wav import Samples, read_wav

if TYPE_CHECKING:
    from closedloop.tasks.schema import WavArchive

MOST_BYTES = 64 << 20  # of one file, unpacked
NAMED = 10  # damaged files in a message
COVERED = "_covered"  # the group around the pattern


@dataclass(frozen=True)
class Recording:
    """One file of an archive."""

    name: str  # as much of the path as the pattern covers, without the ending
    groups: dict[str, str]  # what the pattern finds in its name
    samples: Samples


def read_archive(path: Path, config: "WavArchive") -> list[Recording]:
    """All recordings whose names end in .wav, in the order of their names, at the configured rate.

    Raises DataError when the file is missing or no zip, holds no recordings, or when some are damaged, too long or
    named otherwise than the pattern says: it names the first ten.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing; run the acquire stage")
    found, wrong = [], []
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in _recordings(archive):
                try:
                    found.append(_read(archive, entry, config))
                except ValueError as error:
                    wrong.append(f"{entry.filename!r}: {error}")
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is no zip archive, or a damaged one ({error}); acquire it again") from None
    if wrong:
        rest = f"\n  and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        listed = "\n  ".join(wrong[:NAMED])
        raise DataError(f"{len(wrong)} recordings in {path} cannot be used:\n  {listed}{rest}")
    if not found:
        raise DataError(f"{path} holds no file whose name ends in .wav")
    return found


def _recordings(archive: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    for entry in sorted(archive.infolist(), key=lambda entry: entry.filename):
        base = entry.filename.rpartition("/")[2]
        # macOS puts a file of its own beside each: ._name.wav
        if base.lower().endswith(".wav") and not base.startswith("."):
            yield entry


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, config: "WavArchive") -> Recording:
    """Raises ValueError that says what is wrong with the file."""
    # the pattern may begin at any folder, as some data sets say the label there
    match = re.fullmatch(f"(?:.*/)?(?P<{COVERED}>{config.pattern})", entry.filename)
    if match is None:
        raise ValueError(f"its name does not fit source.format.pattern {config.pattern!r}")
    try:
        with archive.open(entry) as file:
            content = file.read(MOST_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise ValueError(f"it cannot be unpacked ({error})") from None
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed by a method that Python lacks
        raise ValueError(f"it cannot be unpacked ({error}); pack it anew without") from None
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES} bytes")
    groups = match.groupdict()
    name = groups.pop(COVERED)[: -len(".wav")]
    return Recording(name, groups, read_wav(content, config.rate, config.max_seconds))
