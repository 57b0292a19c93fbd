"""One published file: fetched with retries, unpacked and checked while it streams, present whole or not at all."""

import gzip
import hashlib
import io
import shutil
import sys
import tempfile
import time
import zipfile
import zlib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast
from urllib.parse import quote

from tqdm import tqdm

from closedloop.config import RemoteFile, Source
from closedloop.errors import SourceError
from closedloop.files import CHUNK, atomic, sha256
from closedloop.sources.folder import pack
from closedloop.sources.mirror import VARIABLE, locations
from closedloop.sources.transport import Body, NotThere, Transient, is_local, local_folder, open_url, public

LONGEST_PAUSE = 60.0  # seconds


@dataclass(frozen=True)
class Fetched:
    """Where a file came from and how long its unpacked content is, in bytes."""

    url: str
    size: int


def fetch(file: RemoteFile, destination: Path, source: Source, mirror: str | None) -> Fetched:
    """Fetch a file from its url, or from the mirror if there is one; the content's sha256 must be the configured one.

    A folder on this machine becomes a zip, which depends on the names and the contents of its files alone.

    Failures that may pass are tried again after pauses that double. Raises SourceError that names the url, what was
    expected and what was found; `destination` is untouched then.
    """
    folder = local_folder(file.url)
    if folder is not None:
        return _packed(folder, file, destination)
    missing = []
    bare = file.model_copy(update={"unpack": "none"})  # a mirror may hold the file of an archive by itself
    places = [(place, file) for place in locations(file.url, mirror)]
    if mirror and file.member and not is_local(file.url):
        places += [(place, bare) for place in locations(f"{file.url}/{quote(file.member)}", mirror)]
    if mirror and not is_local(file.url):  # or under the name it has here: some are published as input.txt
        named = locations(f"{file.url}/{quote(file.name)}", mirror)[-1]
        places += [(named, bare)] if named not in {place for place, _ in places} else []
    for place, packed in places:
        try:
            return _with_retries(packed, place, destination, source)
        except NotThere as error:
            missing.append(str(error))
    if mirror is None or is_local(file.url):
        raise SourceError(f"{missing[0]}; correct the url of {file.name} in source.files (see {source.homepage})")
    raise SourceError(
        f"the mirror {public(mirror)} has no copy of {public(file.url)}: {'; '.join(missing)}. "
        f"Put the file there, or unset {VARIABLE} to download it"
    )


def _with_retries(file: RemoteFile, url: str, destination: Path, source: Source) -> Fetched:
    failures = 0
    while True:
        try:
            return _once(file, url, destination, source.timeout_seconds)
        except Transient as error:
            failures += 1
            if failures > source.retries:
                tries = "1 try" if failures == 1 else f"{failures} tries"
                raise SourceError(
                    f"{error}; gave up after {tries}. Check the network and run again, or set {VARIABLE} to a "
                    "folder that holds the file"
                ) from None
            pause = min(source.backoff_seconds * 2 ** (failures - 1), LONGEST_PAUSE)
            tqdm.write(f"{error}; retry {failures} of {source.retries} in {pause:g} s", file=sys.stderr)
            time.sleep(pause)


def _once(file: RemoteFile, url: str, destination: Path, timeout_seconds: float) -> Fetched:
    digest, size = hashlib.sha256(), 0
    with (
        open_url(url, timeout_seconds) as body,
        atomic(destination) as temporary,
        temporary.open("wb") as target,
        # small files come and go without a bar
        tqdm(total=body.size, desc=file.name, unit="B", unit_scale=True, delay=0.5) as bar,
        closing(_unpacked(body, file, url)) as content,
    ):
        while chunk := _read(content, body, file, url):
            digest.update(chunk)
            target.write(chunk)
            size += len(chunk)
            bar.update(body.received - bar.n)
        # inside the block: the file must not appear under its name unless it is the right one
        if digest.hexdigest() != file.sha256:
            raise _unexpected(file, url, digest.hexdigest(), size, "unpacked " if file.unpack != "none" else "")
    return Fetched(public(url), size)


def _packed(folder: Path, file: RemoteFile, destination: Path) -> Fetched:
    if file.unpack != "none":
        raise SourceError(
            f"{folder} is a folder, which cannot be unpacked; leave unpack out of {file.name} in source.files"
        )
    with atomic(destination) as temporary:
        with temporary.open("wb") as target:
            pack(folder, target)
        found, size = sha256(temporary), temporary.stat().st_size
        if found != file.sha256:
            raise _unexpected(file, file.url, found, size, "packed ")
    return Fetched(public(file.url), size)


def _unexpected(file: RemoteFile, url: str, digest: str, size: int, form: str) -> SourceError:
    return SourceError(
        f"{public(url)} is not what was expected: its {form}content has sha256 {digest} ({size} bytes), expected "
        f"{file.sha256}. The file was altered, or its publisher has a new version: check it, then correct the sha256 "
        f"of {file.name} in source.files"
    )


def _unpacked(body: Body, file: RemoteFile, url: str) -> io.BufferedIOBase:
    buffered = io.BufferedReader(body, CHUNK)
    match file.unpack:
        case "gzip":
            return gzip.GzipFile(fileobj=buffered)
        case "zip":
            return cast(io.BufferedIOBase, _member(buffered, file, url))
        case _:
            return buffered


def _member(packed: IO[bytes] | io.BufferedIOBase, file: RemoteFile, url: str) -> IO[bytes]:
    """One file of a zip archive, whose table of contents stands at its end: the archive is kept aside meanwhile."""
    archive = tempfile.TemporaryFile()  # noqa: SIM115  gone when the member is closed
    shutil.copyfileobj(packed, archive, CHUNK)
    try:
        return zipfile.ZipFile(archive).open(file.member)
    except KeyError:
        raise SourceError(
            f"{public(url)} holds no file {file.member!r}; correct the member of {file.name} in source.files"
        ) from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise SourceError(f"{public(url)} is not a sound zip file: {error}") from None


def _read(content: io.BufferedIOBase, body: Body, file: RemoteFile, url: str) -> bytes:
    """The next piece of unpacked content, at most CHUNK bytes however well it was packed."""
    try:
        return content.read(CHUNK)
    except EOFError:
        message = f"{public(url)} was cut short: its gzip stream has no end after {body.received} bytes"
        # with all announced bytes here, it is the published file that is cut short
        raise (SourceError if body.size == body.received else Transient)(message) from None
    except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error) as error:
        raise SourceError(
            f"{public(url)} is not a sound {file.unpack} file after {body.received} bytes: {error}"
        ) from None
