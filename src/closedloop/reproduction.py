"""Runs `dvc repro` as one whole: alone in its folder, and ended with everything that it has started."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from closedloop.composition import check_current
from closedloop.errors import ClosedLoopError, ConfigError
from closedloop.files import write_text
from closedloop.stage import EXIT_CODE

NO_SCM = "[core]\n    no_scm = true\n"


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


def reproduce(params: Path) -> None:
    """Bring every stage up to date; the caller holds the folder.

    Raises ConfigError when params.yaml is stale or wrong, ClosedLoopError when a stage fails.
    """
    check_current(params)
    allow_missing_git()
    EXIT_CODE.unlink(missing_ok=True)
    if dvc("repro") == 0:
        return
    if EXIT_CODE.is_file() and EXIT_CODE.read_text(encoding="utf-8") == str(ConfigError.exit_code):
        raise ConfigError("the pipeline stopped at a mistake in the configuration, which stands above")
    raise ClosedLoopError("the pipeline stopped: the reason stands above. What is finished is kept; run it again")


def dvc(*arguments: str) -> int:
    """Run DVC, and end it with its stage when this process is told to end.

    A signal to DVC alone would leave the stage's process behind, still writing. Ctrl-C reaches all of them by itself.
    """
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": scripts + os.pathsep + os.environ.get("PATH", "")}

    def end_all(_number: int, _frame: Any) -> None:
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
        if interrupted:
            raise KeyboardInterrupt
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
