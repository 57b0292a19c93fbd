"""A folder of files as one zip whose bytes depend on the files' names and contents alone."""

import shutil
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from tqdm import tqdm

from closedloop.errors import SourceError
from closedloop.files import CHUNK, sha256
from closedloop.sources.transport import NotThere, public, translate

EPOCH = (1980, 1, 1, 0, 0, 0)  # the time of every file: when it was copied is none of the content


def pack(url: str, destination: Path) -> str:
    """Pack the files below a folder, but for hidden ones, in the order of their names; return the zip's sha256.

    Nothing is compressed, as the bytes must not depend on a compressor's release. Raises NotThere when there is no such
    folder, SourceError when it is empty or cannot be read.
    """
    try:
        filesystem, root = fsspec.core.url_to_fs(url)
        if not filesystem.isdir(root):
            raise NotThere(f"{public(url)} is not a folder")
        names = _visible(filesystem, root)
        if not names:
            raise SourceError(f"{public(url)} holds no files")
        with (
            zipfile.ZipFile(destination, "w", zipfile.ZIP_STORED) as archive,
            tqdm(names, desc=f"packing {public(url).rpartition('/')[2]}", unit="file", delay=0.5) as bar,
        ):
            for name in bar:
                _add(archive, filesystem, f"{root}/{name}", name)
    except SourceError:
        raise
    except Exception as error:  # each filesystem has exceptions of its own
        raise translate(error, url) from error
    return sha256(destination)


def _visible(filesystem: Any, root: str) -> list[str]:
    names = [str(PurePosixPath(path).relative_to(root)) for path in filesystem.find(root)]
    return sorted(name for name in names if not any(part.startswith(".") for part in name.split("/")))


def _add(archive: zipfile.ZipFile, filesystem: Any, path: str, name: str) -> None:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.create_system, entry.external_attr, entry.file_size = 3, 0o644 << 16, filesystem.size(path)
    with filesystem.open(path, "rb") as source, archive.open(entry, "w") as target:
        shutil.copyfileobj(source, target, CHUNK)
