"""Who answers a request: the champion, or the challenger for a share of them, or both and one only for the log."""

import hashlib
import logging
import queue
import threading
import time
from typing import Any, NamedTuple

from closedloop.config import Serving
from closedloop.prediction_log.schema import CANARY, CHAMPION
from closedloop.prediction_log.writer import LogWriter, ShadowAnswer
from closedloop.serving.deployment import Loaded

LOG = logging.getLogger(__name__)
WAITING = 256  # predictions that may wait for their shadow answers, beyond those of one request


def choose(champion: Loaded, challenger: Loaded | None, serving: Serving, prediction_id: str) -> tuple[Loaded, str]:
    """Who answers a request, and in which role; the id of its first prediction decides, so the choice can be repeated.

    With serving.challenger `canary` a challenger takes the share serving.canary_share of the requests.
    """
    if challenger is not None and serving.challenger == "canary" and fraction(prediction_id) < serving.canary_share:
        return challenger, CANARY
    return champion, CHAMPION


def fraction(prediction_id: str) -> float:
    """A number in [0, 1), uniform over ids and independent of their time."""
    digest = hashlib.blake2b(prediction_id.encode(), digest_size=6).digest()
    return float(int.from_bytes(digest) / 2**48)


class _Request(NamedTuple):
    challenger: Loaded
    ids: list[str]
    records: list[dict[str, Any]]


class Shadow:
    """Has the challenger answer what the champion has answered already, in one thread of its own, for the log alone.

    It never makes a request wait: what comes faster than the thread can answer is dropped and counted.
    """

    def __init__(self, writer: LogWriter) -> None:
        self.dropped = 0  # predictions without a shadow answer, because too many waited
        self.failed = 0  # or because the challenger could not answer
        self._writer = writer
        self._queue: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()  # of the number that waits
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        self._thread.start()

    def submit(self, challenger: Loaded, ids: list[str], records: list[dict[str, Any]]) -> bool:
        """Take a request to be answered some time; `ids` are of its predictions. False when it is dropped."""
        with self._lock:
            if self._closed or self._waiting >= WAITING:
                self.dropped += len(ids)
                return False
            self._waiting += len(ids)
        self._queue.put(_Request(challenger, ids, records))
        return True

    def close(self, timeout: float = 5.0) -> None:
        """Answer what waits, as far as the seconds suffice; to be called before the writer is closed."""
        with self._lock:
            self._closed = True
        self._queue.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while (request := self._queue.get()) is not None:
            try:
                self._answer(request)
            except Exception as error:  # a challenger may fail in any way; nobody but the log was to hear from it
                if self.failed == 0:  # the others are counted: a line for each would flood the log
                    LOG.warning("version %d failed in shadow: %s", request.challenger.version, type(error).__name__)
                self.failed += len(request.ids)
            finally:
                with self._lock:
                    self._waiting -= len(request.ids)

    def _answer(self, request: _Request) -> None:
        started = time.perf_counter()
        predictor = request.challenger.predictor
        rows = predictor.predict(request.records).tolist()
        predictor.target.check_rows(rows)
        milliseconds = (time.perf_counter() - started) * 1000  # of the whole request, as the champion's is
        for prediction_id, row in zip(request.ids, rows, strict=True):
            said = predictor.target.logged(row)
            self._writer.submit_shadow(
                ShadowAnswer(prediction_id, request.challenger.version, *said, row, milliseconds)
            )
