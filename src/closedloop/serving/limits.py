"""The outermost layer: what every request must keep to, and the one line that is logged of it."""

import asyncio
import itertools
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from closedloop.serving import events
from closedloop.serving.metrics import Metrics
from closedloop.serving.refusal import Refusal, busy, problem

TRACE = "closedloop.trace"  # key of the scope
MOST_ACTIVE = 512  # requests at a time in one worker: bounds the bodies in memory
GONE = 499  # the client hung up before it was answered; never sent, only logged
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
Head = dict[bytes, bytes]  # names in lower case
ALWAYS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]


@dataclass(slots=True)
class Trace:
    """What the log line of a request tells."""

    route: str
    id: str
    started: float = field(default_factory=time.perf_counter)
    status: int = 0
    version: int | None = None
    examples: int | None = None

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started


def trace_of(scope: Scope) -> Trace:
    trace: Trace = scope[TRACE]
    return trace


class Boundary:
    """Checks Host, size and time; answers what nobody else has; logs and counts.

    One plain ASGI layer, because each of Starlette's own costs a request more than all of this.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int,
        seconds: float,
        hosts: frozenset[str] | None,
        routes: frozenset[str],
        metrics: Metrics,
        count: Callable[[int], None],
    ) -> None:
        """`hosts`: names by which the server may be called, None for any; `count` takes the status of predictions."""
        self.app, self.max_bytes, self.seconds, self.hosts, self.routes = app, max_bytes, seconds, hosts, routes
        self.metrics, self.count = metrics, count
        self.active = 0
        # a process has a name of its own and counts: a twentieth of the cost of a random id for each request
        self._name, self._numbers = secrets.token_hex(6), itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        head: Head = dict(scope["headers"])
        given = head.get(b"x-request-id", b"")
        number = given.decode() if REQUEST_ID.fullmatch(given) else f"{self._name}-{next(self._numbers)}"
        trace = Trace(self._route(scope["path"]), number)
        scope[TRACE] = trace
        extra = [(b"x-request-id", number.encode()), *ALWAYS]

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                trace.status = message["status"]
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        self.active += 1
        try:
            refused = await self._guarded(scope, head, receive, answer, trace)
            if refused is not None and not trace.status:
                await refused(scope, receive, answer)
        finally:
            self.active -= 1
            self._note(scope["method"], trace)

    async def _guarded(self, scope: Scope, head: Head, receive: Receive, answer: Send, trace: Trace) -> Response | None:
        """Run the application; what it has left to be answered."""
        body = _Body(receive, self.max_bytes)
        try:
            self._check(head)
            async with asyncio.timeout(self.seconds):
                await self.app(scope, body, answer)
        except Refusal as refusal:
            if refusal.status >= 500:
                self.metrics.error("unavailable")
            return refusal.response()
        except TimeoutError:
            return self._too_late(body.complete or not _has_body(head))
        except ClientDisconnect:
            trace.status = trace.status or GONE
        except Exception as error:
            self.metrics.error("internal")
            events.emit("error", "failed", id=trace.id, route=trace.route, error=events.describe(error))
            return problem(500, f"the server failed; its log tells more under the request id {trace.id}")
        return None

    def _route(self, path: str) -> str:
        """Neither log nor metrics name a path that a client made up."""
        if path in self.routes:
            return path
        return "/docs" if path.startswith("/docs/") else "other"

    def _check(self, head: Head) -> None:
        if self.hosts is not None and _called(head.get(b"host", b"")) not in self.hosts:
            # a page of another site may have made its name mean this machine (DNS rebinding)
            raise Refusal(
                421, "this server is called by its own name or address, or by one of serving.hosts", "header Host"
            )
        if self.active > MOST_ACTIVE:
            raise busy("too many requests at once")
        length = head.get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > self.max_bytes:
            raise _too_large(self.max_bytes)

    def _too_late(self, complete: bool) -> Response:
        if complete:
            self.metrics.error("timeout")
            return busy(f"it took longer than {self.seconds:g} s").response()
        reason = f"the body did not arrive within {self.seconds:g} s"
        return problem(408, reason, "body", {"Connection": "close"})

    def _note(self, method: str, trace: Trace) -> None:
        seconds = trace.seconds
        self.metrics.request(trace.route, trace.status, seconds)
        if trace.route == "/predict" and trace.status != GONE:
            self.count(trace.status)
        events.emit(
            "info" if trace.status < 500 else "error",
            "request",
            id=trace.id,
            method=method,
            route=trace.route,
            status=trace.status,
            ms=round(seconds * 1000, 3),
            version=trace.version,
            examples=trace.examples,
            active=self.active,
        )


class _Body:
    """Receives a body up to a size, however it arrives."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive, self._max, self._size = receive, max_bytes, 0
        self.complete = False

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            if self._size > self._max:
                raise _too_large(self._max)
            self.complete = not message.get("more_body", False)
        return message


def _has_body(head: Head) -> bool:
    """Whether a body is announced; the application need not have read it."""
    return b"transfer-encoding" in head or int(head.get(b"content-length", b"0")) > 0


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"the body is larger than {limit / 1e6:g} MB", "body", limit_bytes=limit)


def _called(host: bytes) -> str:
    """The name in a Host header, without its port."""
    name, _, port = host.decode("latin-1").rpartition(":")
    return (name if name and port.isdecimal() else f"{name}:{port}" if name else port).strip("[]").lower()
