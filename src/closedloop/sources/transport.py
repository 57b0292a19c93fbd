"""Bytes from any url that fsspec knows (file, http, s3, gs, …), with failures sorted into what another try may mend."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import fsspec
from fsspec.utils import get_protocol

from closedloop.errors import SourceError

EXTRAS = {"s3": "closedloop[s3]", "s3a": "closedloop[s3]", "gs": "closedloop[gcs]", "gcs": "closedloop[gcs]"}
PASSING_STATUS = {408, 425, 429}  # timed out, too early, too many requests; so is every 5xx
MISSING_STATUS = {403, 404, 410}  # a bucket that may not be listed answers 403 for a key that it does not have


class NotThere(SourceError):
    """The place answered that it has no such file."""


class Transient(SourceError):
    """A failure that another try may mend: a broken connection, a timeout, a busy server, a body cut short."""


class Body(io.RawIOBase):
    """The bytes behind a url as they arrive; `received` counts them, `size` is what was announced, if anything was.

    Reading raises Transient or SourceError, also when the body ends before `size`.
    """

    def __init__(self, file: Any, url: str, size: int | None) -> None:
        self._file, self._url, self.size, self.received = file, url, size, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            chunk: bytes = self._file.read(len(buffer))
        except Exception as error:
            length = "" if self.size is None else f" ({self.size} bytes expected)"
            raise _translate(error, self._url, f" to its end{length}") from error
        self.received += len(chunk)
        if not chunk and self.size is not None and self.received < self.size:
            raise Transient(f"{public(self._url)} was cut short: expected {self.size} bytes, got {self.received}")
        buffer[: len(chunk)] = chunk
        return len(chunk)


@contextmanager
def open_url(url: str, timeout_seconds: float) -> Iterator[Body]:
    """Open a url or a local path for reading.

    Raises NotThere when it does not exist, Transient when another try may help, SourceError otherwise; each names the
    url, what was expected and what was found.
    """
    http = is_http(url)
    try:
        if http:
            filesystem, path = fsspec.core.url_to_fs(url, **_http_options(timeout_seconds))
            # block_size=0 streams; any size spares the extra HEAD request, which turns every failure into "not found"
            file = filesystem.open(path, "rb", block_size=0, size=1)
            length = file.r.headers.get("Content-Length")
            size = int(length) if length is not None else None
        else:
            filesystem, path = fsspec.core.url_to_fs(url)
            size = filesystem.size(path)
            file = filesystem.open(path, "rb")
    except Exception as error:  # each filesystem has exceptions of its own
        raise _translate(error, url) from error
    with file:
        yield Body(file, url, size)


def is_http(url: str) -> bool:
    return urlsplit(url).scheme in ("http", "https")


def is_local(url: str) -> bool:
    """Whether a url is a path on this machine, so that reading it is no download."""
    return get_protocol(url) in ("file", "local")


def local_folder(url: str) -> Path | None:
    """The folder on this machine that a url names; None when it is something else."""
    path = Path(fsspec.core.url_to_fs(url)[1]) if is_local(url) else None
    return path if path is not None and path.is_dir() else None


def public(url: str) -> str:
    """The url without user name and password, fit for messages and for a manifest kept in git."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _http_options(timeout_seconds: float) -> dict[str, Any]:
    from aiohttp import ClientTimeout

    return {
        # bytes as published: a transfer encoding would hide the announced length and unpack .gz files unasked
        "headers": {"Accept-Encoding": "identity"},
        "client_kwargs": {
            "auto_decompress": False,
            "trust_env": True,  # HTTP(S)_PROXY
            "timeout": ClientTimeout(total=None, sock_connect=timeout_seconds, sock_read=timeout_seconds),
        },
    }


def _translate(error: Exception, url: str, position: str = "") -> SourceError:
    where = public(url)
    status = 404 if is_http(url) and isinstance(error, FileNotFoundError) else getattr(error, "status", None)
    if isinstance(status, int):
        return _kind_of(status)(f"{where} answered HTTP status {status} (expected 200)")
    if isinstance(error, FileNotFoundError):
        return NotThere(f"{where} does not exist")
    if isinstance(error, IsADirectoryError):
        return NotThere(f"{where} is a folder (expected a file)")
    if isinstance(error, ImportError):
        scheme = urlsplit(url).scheme
        step = f"pip install '{EXTRAS[scheme]}'" if scheme in EXTRAS else str(error)
        return SourceError(f"{where}: reading {scheme}:// needs a package that is not installed: {step}")
    if isinstance(error, ValueError) and "Protocol not known" in str(error):
        return SourceError(f"{where}: unknown protocol; use a path or file, http, https, s3 or gs")
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, TimeoutError):
        reason = f"no answer in time ({reason})"
    kind = Transient if _is_transient(error) else SourceError
    return kind(f"{where} cannot be read{position}: {reason}")


def _kind_of(status: int) -> type[SourceError]:
    if status >= 500 or status in PASSING_STATUS:
        return Transient
    return NotThere if status in MISSING_STATUS else SourceError


def _is_transient(error: Exception) -> bool:
    from aiohttp import ClientConnectionError, ClientPayloadError, ClientSSLError

    if isinstance(error, ClientSSLError):  # a certificate does not mend itself
        return False
    return isinstance(error, TimeoutError | ConnectionError | ClientConnectionError | ClientPayloadError)
