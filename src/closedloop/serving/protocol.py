"""HTTP as uvicorn speaks it, with the bounds that it lacks, and a gentler end."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MOST_HEAD = 65_536  # bytes of a request's head, about
MOST_CONNECTIONS = 1000  # of one process: bounds what waits in memory for clients that do not read
LEAST_READ = 65_536  # bytes of what waits for a client that it must take in `Protocol.seconds`, or all that waits
DRAIN_SECONDS = 0.25  # that an idle connection stays open at the end: what is on its way is answered
LATE = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
FULL = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"
LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Protocol(HttpToolsProtocol):
    """Ends connections whose request does not arrive in time or has too large a head, and those that do not read."""

    seconds = 10.0  # from the first byte of a request to its last; and between two looks at what a client has not read

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._deadline: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._unread = 0  # bytes that waited for the client at the last look, if nothing has been read since
        self._in_head, self._head, self._draining = False, 0, False
        self._answered: RequestResponseCycle | None = None  # uvicorn's `cycle` is the latest to arrive

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.seconds, self._late)
        self._watch = self.loop.call_later(self.seconds, self._look)
        if len(self.connections) > MOST_CONNECTIONS:
            self._end(FULL)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        if self._watch is not None:
            self._watch.cancel()
        if self._answered is not None:  # of requests sent at once uvicorn tells only the last, and the others write on
            self._answered.disconnected = True
            self._answered.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head += len(data)
            if self._head > MOST_HEAD:
                self._end(LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._cancel_deadline()
        self._in_head, self._head = True, 0
        self._deadline = self.loop.call_later(self.seconds, self._late)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()
        if not self.pipeline:
            self._answered = self.cycle
        if self._draining and self.cycle:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self._cancel_deadline()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._unread = 0
        if self.pipeline:
            self._answered, _ = self.pipeline[-1]
        super().on_response_complete()

    def resume_writing(self) -> None:
        self._unread = 0
        super().resume_writing()

    def shutdown(self) -> None:
        """Let a request under way, and one that arrives in a moment, be the last of its connection."""
        if self._draining:
            super().shutdown()
            return
        self._draining = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(DRAIN_SECONDS, self.shutdown)

    def _late(self) -> None:
        """Time is up: end the connection, unless the application is at work on what has come and will answer."""
        self._deadline = None
        if self.transport.is_closing():
            return
        if self._in_head or self.cycle is None:
            self._end(LATE)
        elif self.cycle.response_complete:
            self.transport.close()
        else:
            self._deadline = self.loop.call_later(1, self._late)

    def _look(self) -> None:
        """Cut a client off that has hardly read since the last look: to close would wait until it has."""
        waiting = self.transport.get_write_buffer_size()
        if waiting and waiting > self._unread - LEAST_READ and self._unread:
            self.transport.abort()
            return
        self._unread = waiting
        self._watch = self.loop.call_later(self.seconds, self._look)

    def _end(self, answer: bytes) -> None:
        self.transport.write(answer)
        self.transport.close()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
