"""An answer that is told while it is written, as server-sent events (WHATWG HTML, section 9.2)."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import StreamingResponse

from closedloop.serving.threads import Threads

STREAM = "text/event-stream"


def asked_for(request: Request) -> bool:
    """Whether the client takes a stream."""
    return any(
        kind.partition(";")[0].strip().lower() == STREAM for kind in request.headers.get("accept", "").split(",")
    )


def streamed(answer: dict[str, Any], parts: Iterator[dict[str, Any]], threads: Threads) -> StreamingResponse:
    """First the answer as it is logged, then what is made, part by part, at last an event `end`.

    Whoever misses the last one knows that the answer was cut off.
    """

    async def events() -> AsyncIterator[bytes]:
        yield _event("prediction", answer)
        while part := await threads.run(lambda: next(parts, None)):
            yield _event(next(iter(part)), part)
        yield _event("end", {})

    return StreamingResponse(events(), media_type=STREAM)


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"
