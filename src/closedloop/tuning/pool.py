"""Trainings side by side, each in a process of its own with its share of the machine's threads."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from closedloop.config import Params
from closedloop.tuning.space import with_values
from closedloop.tuning.worker import Epoch, Outcome, Work, serve

SECOND = 1.0
GRACE = 5.0  # seconds for an idle process to end


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    work: Work | None = None


class Pool:
    """`jobs` processes; those that die are replaced, and their training is told as broken off."""

    def __init__(self, jobs: int, root: Path, logs: Path) -> None:
        self._root, self._logs = root, logs
        self._context = multiprocessing.get_context("spawn")  # torch does not survive a fork
        logs.mkdir(parents=True, exist_ok=True)
        self._workers = [self._start(place) for place in range(jobs)]

    def run(
        self,
        works: Iterable[Work],
        on_epoch: Callable[[Work, Epoch], bool],
        on_end: Callable[[Work, Outcome | None], Work | None],
        tick: Callable[[], None],
    ) -> None:
        """Do all works; the next one is drawn when a process is free.

        `on_epoch` says whether a training goes on. `on_end` hears how it ended, or None when its process died, and may
        return what to do next in its place. `tick` is called every second.
        """
        source = iter(works)
        waiting: list[Work] = []
        while True:
            for worker in self._workers:
                if worker.work is None:
                    worker.work = waiting.pop() if waiting else next(source, None)
                    if worker.work is not None:
                        with suppress(OSError):  # one that died idle shows when it is listened to
                            worker.connection.send(worker.work)
            busy = {worker.connection: worker for worker in self._workers if worker.work is not None}
            if not busy:
                return
            for connection in wait(list(busy), SECOND):
                again = self._hear(busy[connection], on_epoch, on_end)  # type: ignore[index]  # only connections
                waiting += [again] if again else []
            tick()

    def _hear(
        self,
        worker: _Worker,
        on_epoch: Callable[[Work, Epoch], bool],
        on_end: Callable[[Work, Outcome | None], Work | None],
    ) -> Work | None:
        work = worker.work
        assert work is not None  # noqa: S101  only busy ones are listened to
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            place = self._workers.index(worker)
            worker.process.join()
            self._workers[place] = self._start(place)
            return on_end(work, None)
        if isinstance(message, Epoch):
            go_on = on_epoch(work, message)
            with suppress(OSError):
                worker.connection.send(go_on)
            return None
        worker.work = None
        return on_end(work, message)

    def _start(self, place: int) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=serve, args=(theirs, self._root, self._logs / f"worker-{place}.log"), daemon=True
        )
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def stop(self) -> None:
        """End all processes at once; an unfinished training leaves the checkpoints of its last epoch."""
        for worker in self._workers:
            worker.connection.close()  # an idle one ends by itself
            if worker.work is not None:
                worker.process.kill()
        for worker in self._workers:
            worker.process.join(GRACE)
            worker.process.kill()


@contextmanager
def open_pool(jobs: int, root: Path, logs: Path) -> Iterator[Pool]:
    """A pool that is stopped when the block ends, in whatever way."""
    pool = Pool(jobs, root, logs)
    try:
        yield pool
    finally:
        pool.stop()


def shared(params: Params) -> Params:
    """The configuration of one of several trainings at the same time: with its share of the threads, unless it says
    how many."""
    if params.trainer.threads:
        return params
    return with_values(params, {"trainer.threads": max(1, (os.cpu_count() or 1) // params.tune.jobs)})
