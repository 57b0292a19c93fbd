"""Structured logs: one line of JSON an event on standard output, without payloads and keys."""

import atexit
import contextlib
import logging
import os
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import Any

import orjson

MOST_LINES = 10_000  # that wait to be written: what comes on top of them is counted and dropped
GATHER_SECONDS = 0.01  # of lines in one write: to wake a thread for each would cost more than the line
LAST_SECONDS = 1.0  # that the process waits at its end for what has not been written
ATOMIC = 4096  # bytes that a pipe takes in one piece, so that lines of several workers stay whole


class _Output:
    """Writes lines in a thread of its own: whoever reads standard output may be slow or stopped, and nobody waits."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()
        self._put = self._written = self._dropped = 0
        self._lock, self._waiting = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def put(self, line: bytes) -> None:
        with self._lock:
            if len(self._lines) >= MOST_LINES:
                self._dropped += 1
                return
            self._lines.append(line)
            self._put += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="events", daemon=True)
                self._thread.start()
        if not self._waiting.is_set():
            self._waiting.set()

    def flush(self, seconds: float) -> None:
        """Wait until what was put before is written, for so many seconds at most."""
        until, put = time.monotonic() + seconds, self._put
        while self._written < put and time.monotonic() < until:
            time.sleep(GATHER_SECONDS / 2)

    def _run(self) -> None:
        while True:
            self._waiting.wait()
            time.sleep(GATHER_SECONDS)
            self._waiting.clear()
            while piece := self._take():
                with contextlib.suppress(OSError):  # a log that cannot be written must not fail what it tells of
                    os.write(1, b"".join(piece))
                self._written += len(piece)

    def _take(self) -> list[bytes]:
        """The lines that are to be written next, whole and in one piece."""
        with self._lock:
            dropped, self._dropped = self._dropped, 0
            piece = [self._lines.popleft()] if self._lines else []
            size = sum(map(len, piece))
            while self._lines and size + len(self._lines[0]) <= ATOMIC:
                piece.append(self._lines.popleft())
                size += len(piece[-1])
        if dropped:
            emit("warning", "dropped", lines=dropped)
        return piece


_OUTPUT = _Output()
flush = _OUTPUT.flush


def emit(level: str, event: str, **fields: Any) -> None:
    """Have one line written in a moment."""
    line = {"time": datetime.now(UTC), "level": level, "event": event, **fields}
    _OUTPUT.put(orjson.dumps(line, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE, default=str))


class JsonHandler(logging.Handler):
    """What libraries log, in the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name, "message": record.getMessage()}
        if record.exc_info and record.exc_info[1]:
            fields["error"] = describe(record.exc_info[1])
        emit(record.levelname.lower(), "log", **fields)


def describe(error: BaseException) -> dict[str, Any]:
    """An unexpected error by its kind and place; its message might repeat what a client has sent."""
    places, frame = [], error.__traceback__
    while frame:
        code = frame.tb_frame.f_code
        places.append(f"{code.co_filename}:{frame.tb_lineno} {code.co_name}")
        frame = frame.tb_next
    return {"type": type(error).__name__, "at": places[-6:]}


def configure() -> None:
    """Send what libraries have to say to standard output: all of this project, and of the others what is wrong."""
    atexit.register(flush, LAST_SECONDS)
    root = logging.getLogger()
    root.handlers[:] = [JsonHandler()]
    root.setLevel(logging.WARNING)
    logging.getLogger("closedloop").setLevel(logging.INFO)
