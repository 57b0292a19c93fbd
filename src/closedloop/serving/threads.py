"""Blocking work beside the event loop, in threads that never keep the process from ending, as an executor's would."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

Result = TypeVar("Result")


class _Job(NamedTuple):
    work: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Any]


class Threads:
    """So many threads at most, begun when they are needed; what is given up while it waits for one is not begun."""

    def __init__(self, name: str, most: int) -> None:
        self._name, self._most, self._started = name, most, 0
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()

    async def run(self, work: Callable[[], Result]) -> Result:
        """What the work returns; raises what it raises. Who gives up waiting does not end it."""
        return await self.run_heeding(lambda _: work())

    async def run_heeding(self, work: Callable[[Callable[[], bool]], Result]) -> Result:
        """The same for work that can ask, by what it is called with, whether its caller has given up."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        job = _Job(lambda: work(done.cancelled), loop, done)
        if self._started < self._most:
            self._started += 1
            threading.Thread(target=self._run, name=f"{self._name}-{self._started}", daemon=True).start()
        self._queue.put(job)
        result: Result = await job.done
        return result

    def close(self) -> None:
        """Have the threads end when they have done what waits; nobody waits for them."""
        for _ in range(self._started):
            self._queue.put(None)

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            if job.done.cancelled():
                continue
            result, error = None, None
            try:
                result = job.work()
            except Exception as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                job.loop.call_soon_threadsafe(_resolve, job.done, result, error)
            del job, result, error  # else they are kept until the next job


def _resolve(done: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if done.done():  # given up
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)
