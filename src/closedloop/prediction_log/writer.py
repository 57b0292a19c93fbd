"""Writes what was answered: many requests share one transaction, and none is answered before it is committed."""

import asyncio
import contextlib
import os
import queue
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import orjson
from sqlalchemy import Engine, Table

from closedloop.errors import LogError
from closedloop.prediction_log.clock import MINUTE, now
from closedloop.prediction_log.insertion import GROUP, Inserter, Row
from closedloop.prediction_log.schema import PREDICTIONS, REQUESTS, SHADOWS
from closedloop.prediction_log.store import translated

SHADOWS_WAITING = 10_000
FLUSH_SECONDS = 2.0  # between writings of the request counts
CLOSED = "the prediction log is closed: the server is stopping"


class Answer(NamedTuple):
    """One prediction as it was given; the order of the fields is that of the table's columns."""

    id: str
    time: int
    task: str
    version: int
    role: str
    request: bytes | None
    prediction: str
    confidence: float
    probabilities: list[float]
    latency_ms: float
    descriptors: str | None = None


class ShadowAnswer(NamedTuple):
    """What the challenger would have answered."""

    prediction_id: str
    version: int
    prediction: str
    confidence: float
    probabilities: list[float]
    latency_ms: float


class _Write(NamedTuple):
    answers: Sequence[Answer]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]


class LogWriter:
    """One thread with one connection, that takes whatever is waiting into one transaction (group commit)."""

    def __init__(self, engine: Engine) -> None:
        self.dropped = 0  # shadow answers that were not written
        self._engine = engine
        self._uri = str(engine.url)  # without the password
        self._queue: queue.SimpleQueue[_Write | ShadowAnswer | None] = queue.SimpleQueue()
        self._places = threading.Semaphore(SHADOWS_WAITING)
        self._counts: Counter[tuple[str, int, int]] = Counter()
        self._lock = threading.Lock()  # of the counts
        self._worker = f"{socket.gethostname()}:{os.getpid()}"[-64:]
        self._inserter: Inserter | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    @property
    def backlog(self) -> int:
        """Requests and shadow answers that wait to be written."""
        return self._queue.qsize()

    async def write(self, answers: Sequence[Answer]) -> None:
        """Return once all answers are committed.

        Raises LogError when they cannot be: then they must not be given.
        """
        if self._closed:
            raise LogError(CLOSED)
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        self._queue.put(_Write(answers, loop, done))
        await done

    def submit_shadow(self, answer: ShadowAnswer) -> bool:
        """Take an answer to be written some time, without waiting; False when too many wait: it is dropped."""
        if self._closed or not self._places.acquire(blocking=False):
            self.dropped += 1
            return False
        self._queue.put(answer)
        return True

    def count(self, task: str, status: int) -> None:
        """Count one request by its HTTP status; written every few seconds."""
        moment = now()
        with self._lock:
            self._counts[task, moment - moment % MINUTE, status] += 1

    def close(self, timeout: float = 10.0) -> None:
        """Write all that waits, then the counts; after `timeout` seconds what is left fails."""
        self._closed = True
        self._queue.put(None)
        self._thread.join(timeout)
        while True:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return
            if isinstance(item, _Write):
                _settle([item], CLOSED)

    def _run(self) -> None:
        flushed, stopping = time.monotonic(), False
        while not stopping:
            writes, shadows, stopping = self._take(flushed + FLUSH_SECONDS - time.monotonic())
            if writes:
                rows = [_answer_row(answer) for write in writes for answer in write.answers]
                _settle(writes, self._insert(PREDICTIONS, rows))
            if shadows:
                if self._insert(SHADOWS, [_shadow_row(shadow) for shadow in shadows]):
                    self.dropped += len(shadows)
                self._places.release(len(shadows))
            if stopping or time.monotonic() - flushed >= FLUSH_SECONDS:
                flushed = time.monotonic()
                self._flush_counts()
        self._disconnect()

    def _take(self, timeout: float) -> tuple[list[_Write], list[ShadowAnswer], bool]:
        """Wait for the first thing to do; take what else waits, up to a group; and whether to stop behind it."""
        writes: list[_Write] = []
        shadows: list[ShadowAnswer] = []
        rows = 0
        try:
            item = self._queue.get(timeout=max(timeout, 0))
            while True:
                if item is None:
                    return writes, shadows, True
                if isinstance(item, _Write):
                    writes.append(item)
                    rows += len(item.answers)
                else:
                    shadows.append(item)
                    rows += 1
                if rows >= GROUP:
                    break
                item = self._queue.get_nowait()
        except queue.Empty:
            pass
        return writes, shadows, False

    def _flush_counts(self) -> None:
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        rows = [(task, minute, self._worker, status, n) for (task, minute, status), n in counts.items()]
        if self._insert(REQUESTS, rows):
            with self._lock:
                self._counts.update(counts)  # next time

    def _insert(self, table: Table, rows: list[Row]) -> str | None:
        """Commit the rows; the error in words when that fails. A connection that was lost is made anew once."""
        for attempt in (1, 2):
            fresh = self._inserter is None
            try:
                with translated(self._uri):
                    self._inserter = self._inserter or Inserter(self._engine)
                    self._inserter.insert(table, rows)
                return None
            except LogError as error:
                lost = self._inserter is not None and self._inserter.is_lost
                self._disconnect()
                if fresh or not lost or attempt == 2:
                    return str(error)
            except Exception as error:  # whatever it is, those who wait must hear of it
                self._disconnect()
                return f"the prediction log {self._uri} failed ({type(error).__name__})"
        return None

    def _disconnect(self) -> None:
        if self._inserter is not None:
            self._inserter.close()
            self._inserter = None


def _answer_row(answer: Answer) -> Row:
    return (*answer[:8], orjson.dumps(answer.probabilities).decode(), *answer[9:])


def _shadow_row(answer: ShadowAnswer) -> Row:
    return (*answer[:4], orjson.dumps(answer.probabilities).decode(), answer.latency_ms)


def _settle(writes: list[_Write], error: str | None) -> None:
    """Wake those who wait: one call into each of their loops, as that is what costs."""
    for loop in {write.loop for write in writes}:
        futures = [write.done for write in writes if write.loop is loop]
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(_resolve, futures, error)


def _resolve(futures: list[asyncio.Future[None]], error: str | None) -> None:
    for future in futures:
        if future.done():  # cancelled: its request ran out of time
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(LogError(error))
