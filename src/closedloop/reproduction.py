"""Runs `dvc repro` as one whole: alone in its folder, and ended with everything that it has started."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from closedloop.composition import check_current, current
from closedloop.config import load
from closedloop.errors import ClosedLoopError, ConfigError
from closedloop.files import write_text
from closedloop.stage import FAILURE, Failure, noted_failure

NO_SCM = "[core]\n    no_scm = true\n"


class StageError(ClosedLoopError):
    """A stage failed, and has said why; `failure` keeps it where the stage was able to."""

    def __init__(self, failure: Failure | None) -> None:
        super().__init__("the pipeline stopped: the reason stands above. What is finished is kept; run it again")
        self.reason = failure.message if failure else "a stage ended without saying why"
        self.transient = failure is not None and failure.transient


@contextmanager
def exclusive() -> Iterator[None]:
    """Be the only one who changes params.yaml or runs the pipeline in this folder.

    Raises ClosedLoopError at once when somebody else is at it.
    """
    lock = Path("work") / "run.lock"
    lock.parent.mkdir(exist_ok=True)
    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout:
        raise ClosedLoopError(
            f"another run is under way in this folder (it holds {lock}); wait for it to end"
        ) from None


def reproduce(params: Path, stages: Sequence[str] = (), *, alone: bool = False) -> None:
    """Bring the named stages and all before them up to date, every stage without names; the caller holds the folder.

    `alone`: run the named ones whether or not anything has changed, and none before them.
    Raises ConfigError when params.yaml is stale or wrong, StageError when a stage fails.
    """
    check_current(params)
    if not alone:
        _require_weights(params)
    allow_missing_git()
    FAILURE.unlink(missing_ok=True)
    task, _ = current(params)
    options = ("--single-item", "--force") if alone else ()
    if dvc("repro", *options, *(f"{stage}@{task}" for stage in stages)) == 0:
        return
    failure = noted_failure()
    if failure and failure.exit_code == ConfigError.exit_code:
        raise ConfigError("the pipeline stopped at a mistake in the configuration, which stands above")
    raise StageError(failure)


def _require_weights(params: Path) -> None:
    """DVC would say that a dependency is missing, and not where it is to come from."""
    weights = Path(load(params).transfer.weights)
    if not weights.exists():
        raise ConfigError(
            f"transfer.weights: {weights} is not there. A task's training writes models/<task>/trained/"
            "weights.safetensors: `make run TASK=…` for that task first, or `make restore`; transfer=none does without"
        )


def dvc(*arguments: str) -> int:
    """Run DVC, and end it with its stage when this process is told to end.

    A signal to DVC alone would leave the stage's process behind, still writing. Ctrl-C reaches all of them by itself.
    """
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": scripts + os.pathsep + os.environ.get("PATH", "")}

    told_to_end = False

    def end_all(_number: int, _frame: Any) -> None:
        nonlocal told_to_end
        told_to_end = True
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.terminate()

    interrupted = False

    def interrupt(_number: int, _frame: Any) -> None:
        nonlocal interrupted
        interrupted = True

    handlers = {signal.SIGTERM: end_all, signal.SIGHUP: end_all, signal.SIGINT: interrupt}
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        code = subprocess.Popen([sys.executable, "-m", "dvc", *arguments], env=environment).wait()
        if code == 0:  # told to end too late: it is done, and what follows is quick
            return code
        if interrupted:
            raise KeyboardInterrupt
        if told_to_end:
            raise StageError(Failure("told to end", 1, transient=True))
        return code
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


def allow_missing_git() -> None:
    """In a source archive DVC must be told that there is no git."""
    local = Path(".dvc/config.local")
    inside = any((folder / ".git").exists() for folder in (Path.cwd(), *Path.cwd().parents))
    if not inside and not local.exists():
        write_text(local, NO_SCM)
