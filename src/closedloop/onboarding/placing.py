"""The user's data as acquire will place them, so that what is looked at is what the stages read."""

import gzip
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import IO

from closedloop.data.archives import files
from closedloop.errors import DataError
from closedloop.files import CHUNK, sha256
from closedloop.onboarding.proposal import RawFile, file_name
from closedloop.sources.folder import pack


def place(path: Path, file: RawFile, raw: Path) -> str:
    """Put a file or folder into a raw folder; return the sha256 that acquire will ask for.

    A file that needs no unpacking is linked to and not copied. Raises DataError for a damaged gzip or zip file.
    """
    placed = raw / file.name
    if path.is_dir():
        with placed.open("wb") as target:
            pack(path, target)
    elif file.unpack == "none":
        placed.symlink_to(path)
    else:
        try:
            with _opened(path, file) as packed, placed.open("wb") as target:
                shutil.copyfileobj(packed, target, CHUNK)
        except (gzip.BadGzipFile, zipfile.BadZipFile, EOFError, zlib.error, RuntimeError) as error:
            raise DataError(f"{path} is no sound {file.unpack} file: {error}") from None
    return sha256(placed)


def alone(path: Path) -> RawFile | None:
    """How acquire is to place a file, unpacked where it is packed; None for a folder, and a zip with other than one."""
    if not path.is_file():
        return None
    if not zipfile.is_zipfile(path):
        packed = path.suffix.lower() == ".gz"
        return RawFile(file_name(path.stem if packed else path.name), "gzip" if packed else "none")
    with zipfile.ZipFile(path) as archive:
        names = [entry.filename for entry in files(archive, "") if not entry.is_dir()]
    return RawFile(file_name(names[0].rpartition("/")[2]), "zip", names[0]) if len(names) == 1 else None


def _opened(path: Path, file: RawFile) -> IO[bytes] | gzip.GzipFile:
    return zipfile.ZipFile(path).open(file.member) if file.unpack == "zip" else gzip.open(path)
