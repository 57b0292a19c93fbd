"""Writes what was answered: many requests share one transaction, and none is answered before it is committed."""

import asyncio
import contextlib
import logging
import os
import queue
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import orjson
from sqlalchemy import Engine

from closedloop.errors import LogError
from closedloop.prediction_log.clock import MINUTE, now
from closedloop.prediction_log.insertion import GROUP, Committer, Row
from closedloop.prediction_log.schema import PREDICTIONS, REQUESTS, SHADOWS

LOG = logging.getLogger(__name__)
ANSWERS_WAITING, SHADOWS_WAITING = 20_000, 10_000
STUCK_SECONDS = 10.0  # of one write: then the log is taken to hang, and nobody waits for it any more
FLUSH_SECONDS = 2.0  # between writings of the request counts
WHEN_WRITTEN = 0  # in the place of an answer's time
CLOSED = "the prediction log is closed: the server is stopping"


class Answer(NamedTuple):
    """One prediction as it was given; the order of the fields is that of the table's columns."""

    id: str
    time: int  # microseconds since 1970, or WHEN_WRITTEN: then a log that is slow puts it into no window of the past
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
    done: asyncio.Future[None]


class _Batch(NamedTuple):
    """What the requests that an event loop has worked on in a row want to be written."""

    loop: asyncio.AbstractEventLoop
    writes: list[_Write]


class LogWriter:
    """One thread with one connection, that takes whatever is waiting into one transaction (group commit)."""

    def __init__(self, engine: Engine) -> None:
        self.dropped = 0  # shadow answers that were not written
        self._shadows_failed = 0
        self._uri = str(engine.url)  # without the password
        self._queue: queue.SimpleQueue[_Batch | ShadowAnswer | None] = queue.SimpleQueue()
        self._gathered: dict[asyncio.AbstractEventLoop, list[_Write]] = {}
        self._places = threading.Semaphore(SHADOWS_WAITING)
        self._counts: Counter[tuple[str, int, int]] = Counter()
        self._waiting = 0  # answers
        self._lock = threading.Lock()  # of the counts and of what waits
        self._worker = f"{socket.gethostname()}:{os.getpid()}"[-64:]
        self._committer = Committer(engine)
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
        trouble = self.trouble
        if trouble:
            raise LogError(trouble)
        with self._lock:
            self._waiting += len(answers)
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        if loop not in self._gathered:
            # the thread is not woken once a request: waking it costs more than a row
            self._gathered[loop] = []
            loop.call_soon(self._gather, loop, 0)
        self._gathered[loop].append(_Write(answers, done))
        await done

    @property
    def trouble(self) -> str:
        """Why nothing more is taken to be written; empty while it is."""
        if self._closed:
            return CLOSED
        if (seconds := self._committer.busy_seconds) > STUCK_SECONDS:
            return f"the prediction log {self._uri} has not answered for {seconds:.0f} s"
        if self._waiting >= ANSWERS_WAITING:
            return f"{self._waiting:,} predictions wait for the prediction log {self._uri}: it is too slow for them"
        return ""

    def _gather(self, loop: asyncio.AbstractEventLoop, before: int) -> None:
        """Hand over what has gathered, unless this turn has brought more than the `before` of the last.

        Then the next may too, and what goes together costs one transaction and one change of threads.
        """
        if before < len(self._gathered.get(loop, ())) < GROUP:
            loop.call_soon(self._gather, loop, len(self._gathered[loop]))
        else:
            self._hand_over(loop)

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop in self._gathered:
            self._queue.put(_Batch(loop, self._gathered.pop(loop)))

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
        """Write all that waits, then the counts; after `timeout` seconds what is left fails.

        Called where `write` is, or after its loop has ended.
        """
        self._closed = True
        for loop in list(self._gathered):
            self._hand_over(loop)
        self._queue.put(None)
        self._thread.join(timeout)
        while True:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return
            if isinstance(item, _Batch):
                _settle(item, [CLOSED] * len(item.writes))

    def _run(self) -> None:
        flushed, stopping = time.monotonic(), False
        while not stopping:
            batches, shadows, stopping = self._take(flushed + FLUSH_SECONDS - time.monotonic())
            if batches:
                self._write_answers(batches)
            if shadows:
                self._write_shadows(shadows)
            if stopping or time.monotonic() - flushed >= FLUSH_SECONDS:
                flushed = time.monotonic()
                self._flush_counts()
        self._committer.close()

    def _write_answers(self, batches: list[_Batch]) -> None:
        writes = [write for batch in batches for write in batch.writes]
        # whoever has given up waiting was told that nothing is logged
        groups = [partial(_answer_rows, () if write.done.cancelled() else write.answers) for write in writes]
        failures = iter(self._committer.commit(PREDICTIONS, groups))
        with self._lock:
            self._waiting -= sum(len(write.answers) for write in writes)
        for batch in batches:
            _settle(batch, [next(failures) for _ in batch.writes])

    def _write_shadows(self, shadows: list[ShadowAnswer]) -> None:
        outcomes = self._committer.commit(SHADOWS, [partial(_shadow_rows, shadow) for shadow in shadows])
        failures = [reason for reason in outcomes if reason]
        if failures and not self._shadows_failed:  # the others are counted: a line for each would flood the log
            LOG.warning("shadow answers are not logged: %s", failures[0])
        self._shadows_failed += len(failures)
        self.dropped += len(failures)
        self._places.release(len(shadows))

    def _take(self, timeout: float) -> tuple[list[_Batch], list[ShadowAnswer], bool]:
        """Wait for the first thing to do; take what else waits, up to a group; and whether to stop behind it."""
        batches: list[_Batch] = []
        shadows: list[ShadowAnswer] = []
        with contextlib.suppress(queue.Empty):
            item = self._queue.get(timeout=max(timeout, 0))
            while item is not None:
                if isinstance(item, _Batch):
                    batches.append(item)
                else:
                    shadows.append(item)
                if len(batches) + len(shadows) == GROUP:
                    return batches, shadows, False
                item = self._queue.get_nowait()
            return batches, shadows, True
        return batches, shadows, False

    def _flush_counts(self) -> None:
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        rows = [(task, minute, self._worker, status, n) for (task, minute, status), n in counts.items()]
        if self._committer.commit(REQUESTS, [lambda: rows]) != [None]:
            with self._lock:
                self._counts.update(counts)  # next time


def _answer_rows(answers: Sequence[Answer]) -> list[Row]:
    moment = now()
    return [
        (one[0], one[1] or moment, *one[2:8], orjson.dumps(one.probabilities).decode(), *one[9:]) for one in answers
    ]


def _shadow_rows(answer: ShadowAnswer) -> list[Row]:
    return [(*answer[:4], orjson.dumps(answer.probabilities).decode(), answer.latency_ms)]


def _settle(batch: _Batch, errors: list[str | None]) -> None:
    """Wake those who wait, with one call into their loop."""
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
        batch.loop.call_soon_threadsafe(_resolve, batch.writes, errors)


def _resolve(writes: list[_Write], errors: list[str | None]) -> None:
    for (_, future), error in zip(writes, errors, strict=True):
        if future.done():  # cancelled: its request ran out of time
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(LogError(error))
