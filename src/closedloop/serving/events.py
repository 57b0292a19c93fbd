"""Structured logs: one line of JSON an event on standard output, without payloads and keys."""

import contextlib
import logging
import os
from datetime import UTC, datetime
from typing import Any

import orjson


def emit(level: str, event: str, **fields: Any) -> None:
    """Write one line; a log that cannot be written must not fail what it tells of."""
    line = {"time": datetime.now(UTC), "level": level, "event": event, **fields}
    # one unbuffered write of a short line: whole lines, also of several workers
    with contextlib.suppress(OSError):
        os.write(1, orjson.dumps(line, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE, default=str))


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
    root = logging.getLogger()
    root.handlers[:] = [JsonHandler()]
    root.setLevel(logging.WARNING)
    logging.getLogger("closedloop").setLevel(logging.INFO)
