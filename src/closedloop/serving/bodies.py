"""Bodies of requests, read strictly: what another parser might understand differently is refused."""

import contextlib
import gc
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import orjson
from starlette.requests import Request

from closedloop.serving.refusal import Refusal
from closedloop.serving.threads import Threads

JSON = "application/json"
CHARSETS = ("utf-8", "utf8", "us-ascii")
INLINE_BYTES = 32_768  # a body larger than this is worth the way to another thread
Read = TypeVar("Read")


def content_type(request: Request, *allowed: str) -> str:
    """The body's media type; raises Refusal for one that is not allowed, for other charsets and for compression."""
    headers = request.headers
    kind, _, parameters = headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    if kind not in allowed:
        raise Refusal(415, f"the content type must be {' or '.join(allowed)}", "header Content-Type")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in CHARSETS:
            raise Refusal(415, "the charset must be utf-8", "header Content-Type")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refusal(415, "a compressed body is not taken: send it as it is", "header Content-Encoding")
    return kind


async def read_beside(threads: Threads, body: bytes, read: Callable[[bytes], Read]) -> Read:
    """What a function reads out of a body; of a large one beside the event loop."""
    if len(body) <= INLINE_BYTES:
        return read(body)

    def uncollected() -> Read:
        with _COLLECTOR.paused():
            return read(body)

    return await threads.run(uncollected)


class _Collector:
    """Python's collector of cycles, which looks at all that has been parsed again and again while more is parsed.

    4 MB of empty lists take ten times as long with it.
    """

    def __init__(self) -> None:
        self._pauses, self._lock = 0, threading.Lock()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        with self._lock:
            self._pauses += 1
            gc.disable()
        try:
            yield
        finally:
            with self._lock:
                self._pauses -= 1
                if not self._pauses:
                    gc.enable()


_COLLECTOR = _Collector()


def parse_object(body: bytes) -> dict[str, Any]:
    """A JSON object, without NaN and Infinity; see refuse_repeated_keys.

    Raises Refusal that says where it is not JSON.
    """
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}" if body else "it is empty"
        raise Refusal(400, f"the body is not JSON in UTF-8: {place}", "body") from None
    if not isinstance(content, dict):
        raise Refusal(422, "the body must be a JSON object", "body")
    return content


def refuse_repeated_keys(body: bytes, keys: int) -> None:
    """Raise Refusal when an object names a key twice; `keys` is how many the parsed body holds in all.

    As each key is followed by a colon, a body with no more colons than keys repeats none: no second parse is needed.
    """
    if body.count(b":") == keys:
        return
    try:
        json.loads(body, object_pairs_hook=_unique)
    except (RecursionError, ValueError):
        raise Refusal(400, "the body nests too deeply or holds numbers that are too large", "body") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise Refusal(400, "the body names a key twice in one object", "body")
    return content
