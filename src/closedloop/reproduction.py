"""Runs `dvc repro` as one interruptible, exclusive whole."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from closedloop.composition import check_current
from closedloop.errors import ClosedLoopError
from closedloop.files import write_text

NO_SCM = "[core]\n    no_scm = true\n"


def reproduce(params: Path) -> None:
    """Bring every stage up to date.

    Raises ConfigError when params.yaml is stale or wrong, ClosedLoopError when a stage fails or a run is under way.
    """
    check_current(params)
    _allow_missing_git()
    lock = Path("work") / "run.lock"
    lock.parent.mkdir(exist_ok=True)
    try:
        with FileLock(lock, timeout=0):
            code = _dvc("repro")
    except Timeout:
        raise ClosedLoopError(
            f"another run is under way in this folder (it holds {lock}); wait for it to end"
        ) from None
    if code != 0:
        raise ClosedLoopError("the pipeline stopped: the reason stands above. What is finished is kept; run it again")


def _dvc(*arguments: str) -> int:
    """Run DVC in a process group of its own and end the whole group when this process is told to end.

    A signal to DVC alone would leave the stage's process behind, still writing.
    """
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": scripts + os.pathsep + os.environ.get("PATH", "")}
    process = subprocess.Popen([sys.executable, "-m", "dvc", *arguments], env=environment, start_new_session=True)

    def end_group(number: int, _frame: Any) -> None:
        os.killpg(process.pid, number)

    previous = {number: signal.signal(number, end_group) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        return process.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _allow_missing_git() -> None:
    """In a source archive DVC must be told that there is no git."""
    local = Path(".dvc/config.local")
    inside = any((folder / ".git").exists() for folder in (Path.cwd(), *Path.cwd().parents))
    if not inside and not local.exists():
        write_text(local, NO_SCM)
