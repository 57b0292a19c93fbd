"""A local folder as one zip whose bytes depend on the names and the contents of its files alone."""

import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tqdm import tqdm

from closedloop.errors import SourceError
from closedloop.files import CHUNK

EPOCH = (1980, 1, 1, 0, 0, 0)  # the time of every file: when it was copied is none of the content


def pack(folder: Path, target: IO[bytes]) -> None:
    """Write the files below a folder, but for hidden ones, in the order of their names.

    Nothing is compressed, as the bytes must not depend on a compressor's release. Raises SourceError when the folder
    holds no files, or a link: what it leads to may be anything.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in _visible(folder))
    if not names:
        raise SourceError(f"{folder} holds no files")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in tqdm(names, desc=f"packing {folder.name}", unit="file", delay=0.5):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            entry.file_size = (folder / name).stat().st_size
            with (folder / name).open("rb") as source, archive.open(entry, "w") as packed:
                shutil.copyfileobj(source, packed, CHUNK)


def _visible(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(place) / name for name in (*folders, *names) if not name.startswith(".")):
            if path.is_symlink():
                raise SourceError(f"{path} is a link; put a copy of what it leads to in its place")
            if path.is_file():
                yield path
