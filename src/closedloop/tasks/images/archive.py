"""Reads image files in a zip or tar in place: nothing is extracted, so neither paths nor links in it can do harm."""

import stat
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from closedloop.data.archives import DAMAGED, MOST_BYTES, damage_told
from closedloop.errors import DataError

# an archive unpacks to at most so many times its own size, and a GB: flat pictures pack well, bombs 1000 times as well
MOST_RATIO, SPARE_BYTES = 200, 1 << 30


@dataclass(frozen=True)
class File:
    """One file of an archive: its content, or why there is none."""

    path: PurePosixPath
    content: bytes = b""
    fault: str = ""


def read_files(archive: Path) -> Iterator[File]:
    """The files of a zip or of a tar, packed or not, in the order of the archive; hidden ones are left out.

    Raises DataError when the archive is missing, is none, is damaged, or unpacks to more than any images would.
    """
    if not archive.is_file():
        raise DataError(f"{archive} is missing; run the acquire stage")
    with damage_told(archive):
        if zipfile.is_zipfile(archive):
            yield from _of_zip(archive)
        elif tarfile.is_tarfile(archive):
            yield from _of_tar(archive)
        else:
            raise DataError(f"{archive} is neither a zip nor a tar archive, or a damaged one; acquire it again")


def paths_in(archive: Path) -> list[PurePosixPath]:
    """The paths of the files that `read_files` gives, without their content; it raises alike."""
    if not zipfile.is_zipfile(archive):
        return [file.path for file in read_files(archive)]
    with damage_told(archive), zipfile.ZipFile(archive) as opened:
        paths = [PurePosixPath(entry.filename) for entry in opened.infolist() if not entry.is_dir()]
    return [path for path in paths if not _hidden(path)]


def _of_zip(archive: Path) -> Iterator[File]:
    with zipfile.ZipFile(archive) as opened:
        entries = [entry for entry in opened.infolist() if not entry.is_dir()]
        refuse_bomb(archive, sum(entry.file_size for entry in entries))
        for entry in entries:
            path = PurePosixPath(entry.filename)
            if _hidden(path):
                continue
            fault = _fault(path, entry.file_size, link=stat.S_ISLNK(entry.external_attr >> 16))
            if fault:
                yield File(path, fault=fault)
                continue
            try:
                with opened.open(entry) as file:
                    content = file.read(MOST_BYTES + 1)
            except DAMAGED as error:
                yield File(path, fault=f"cannot be unpacked ({error})")  # encrypted, damaged, or packed oddly
                continue
            yield File(path, content, _fault(path, len(content), link=False))


def _of_tar(archive: Path) -> Iterator[File]:
    total = 0
    with tarfile.open(archive) as opened:
        for entry in opened:  # in its order: a packed tar can only be read forwards
            path, total = PurePosixPath(entry.name), total + entry.size
            refuse_bomb(archive, total)
            if entry.isdir() or _hidden(path):
                continue
            fault = _fault(path, entry.size, link=not entry.isreg())
            file = None if fault else opened.extractfile(entry)
            yield File(path, fault=fault) if file is None else File(path, file.read())


def refuse_bomb(archive: Path, unpacked: int) -> None:
    """Raise DataError when so many bytes are more than an archive of its size has any use for."""
    if unpacked > MOST_RATIO * archive.stat().st_size + SPARE_BYTES:
        raise DataError(
            f"{archive} unpacks to {unpacked:,} bytes or more, over {MOST_RATIO} times its size: refused as a bomb"
        )


def _fault(path: PurePosixPath, size: int, *, link: bool) -> str:
    if link:
        return "is a link, or no regular file"
    if path.is_absolute() or ".." in path.parts:
        return "has a path that leads out of the archive"
    return f"has more than {MOST_BYTES:,} bytes" if size > MOST_BYTES else ""


def _hidden(path: PurePosixPath) -> bool:
    """Systems leave files of their own beside pictures: .DS_Store, __MACOSX/._a.png, Thumbs.db."""
    return (
        any(part.startswith(".") and part != ".." for part in path.parts)
        or path.parts[:1] == ("__MACOSX",)
        or path.name.lower() in ("thumbs.db", "desktop.ini")
    )
