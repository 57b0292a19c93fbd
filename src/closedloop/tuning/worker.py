"""A process that trains what it is told to, one configuration after another, and reports each epoch."""

import os
import signal
import sys
import threading
import traceback
from dataclasses import dataclass, field
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from closedloop.config import Params
from closedloop.errors import TrainingError
from closedloop.paths import Paths

Metrics = dict[str, float]


@dataclass(frozen=True)
class Work:
    """One training: its configuration, and a name of its own, for its checkpoints and for who has ordered it."""

    params: Params
    attempt: str


@dataclass(frozen=True)
class Epoch:
    """One epoch's metrics; the answer is whether to go on."""

    number: int
    metrics: Metrics


@dataclass(frozen=True)
class Outcome:
    """How a training ended: `diverged` when its loss became no number, `broken` for all else that went wrong."""

    state: Literal["complete", "pruned", "diverged", "broken"]
    best: Metrics = field(default_factory=dict)  # of the epoch whose weights are kept
    epochs: int = 0
    seconds: float = 0.0
    reason: str = ""


class _Pruned(Exception):
    """Ends the training from within: Lightning passes it on."""


class _Report:
    """Tells each epoch to the search, which says whether it is worth another one."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self.epochs = connection, 0

    def log(self, metrics: Metrics, step: int) -> None:
        self.epochs = step
        self._connection.send(Epoch(step, metrics))
        if not self._connection.recv():
            raise _Pruned

    def show(self, name: str, picture: NDArray[np.uint8], step: int) -> None:
        """A search keeps figures alone."""


def serve(connection: Connection, root: Path, log: Path) -> None:
    """Train what comes down the connection until it is closed; everything printed goes to a file."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent decides
    with log.open("a") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    tqdm.set_lock(threading.RLock())  # its own is a semaphore of the system, which a kill would leave behind
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            work: Work = connection.recv()
        except EOFError:
            return
        connection.send(_train(work, root, connection))


def _train(work: Work, root: Path, connection: Connection) -> Outcome:
    from closedloop.learning import training

    paths, report = Paths(work.params.task.name, root, work.attempt), _Report(connection)
    try:
        training.save_session(training.open_session(work.params, paths), paths)
        trained = training.fit(work.params, paths, report)
        outcome = Outcome("complete", trained.best, len(trained.history), trained.seconds)
    except _Pruned:
        outcome = Outcome("pruned", epochs=report.epochs)
    except TrainingError as error:
        outcome = Outcome("diverged", epochs=report.epochs, reason=str(error))
    except (EOFError, OSError):
        raise
    except Exception as error:  # of whatever kind: this trial is lost, and the search goes on
        traceback.print_exc()
        outcome = Outcome("broken", epochs=report.epochs, reason=f"{type(error).__name__}: {error}")
    training.close_session(paths)
    return outcome


def _end_with_parent() -> None:
    """A killed parent takes its workers with it: nothing goes on training unseen."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
