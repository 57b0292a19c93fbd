"""What every stage and command shares: a quiet environment, checked params, errors as one message and an exit code."""

import errno
import functools
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from closedloop.errors import ClosedLoopError, ConfigError

FAILURE = Path("work/failure.json")  # of the stage that failed last: DVC passes on neither its code nor its words

PRIVATE = {  # no dependency reports home
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "GIT_PYTHON_REFRESH": "quiet",  # git is optional
}

PATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3"}  # its own seven take minutes to say that a server is not there

DISK = {
    errno.ENOSPC: "the disk is full: free some space and run again",
    errno.EDQUOT: "the disk quota is used up: free some space and run again",
    errno.EROFS: "the disk is read-only: make it writable and run again",
    errno.EACCES: "permission denied: check who owns the file and run again",
}


@dataclass(frozen=True)
class Failure:
    """Why something ended early; `transient` when it may go well another time with nothing changed."""

    message: str
    exit_code: int
    transient: bool

    @classmethod
    def of(cls, error: BaseException) -> "Failure | None":
        """The failure behind an error that a person can act on; None for any other."""
        if isinstance(error, ClosedLoopError):
            return cls(str(error), error.exit_code, error.transient)
        if isinstance(error, KeyboardInterrupt):
            return cls("interrupted; run the same command again to go on", 130, True)
        if isinstance(error, OSError) and error.errno in DISK:
            return cls(f"{error.filename or 'a file'}: {DISK[error.errno]}", 1, True)
        return None


def guarded(work: Callable[[], int | None], ended: Callable[[Failure], None] = lambda _failure: None) -> int:
    """Run `work` and turn its errors into one message on stderr and an exit code (0, 1, 2, 3, or 130 for Ctrl-C).

    `ended` is told of a failure before the code is returned.
    """
    os.environ.update(PRIVATE)
    for name, value in PATIENT.items():
        os.environ.setdefault(name, value)
    try:
        return work() or 0
    except BaseException as error:
        failure = Failure.of(error)
        if failure is None:
            raise
        print(f"\nclosedloop: {failure.message}", file=sys.stderr)
        ended(failure)
        return failure.exit_code


def stage(work: Callable[..., None]) -> Callable[[], None]:
    """Make `work(params, paths)` the main function of a stage script run in the project's root."""

    @functools.wraps(work)
    def main() -> None:
        def run() -> None:
            from closedloop.config import load
            from closedloop.paths import Paths

            params = load(Path("params.yaml"))
            _, _, meant = os.environ.get("DVC_STAGE", "").partition("@")
            if meant and meant != params.task.name:
                raise ConfigError(
                    f"params.yaml was changed to the task {params.task.name} while {os.environ['DVC_STAGE']} was "
                    "about to run; run again"
                )
            work(params, Paths(params.task.name))

        sys.exit(guarded(run, _note))

    return main


def _note(failure: Failure) -> None:
    with suppress(OSError):  # on a full disk the message on stderr has to do
        FAILURE.parent.mkdir(exist_ok=True)
        FAILURE.write_text(json.dumps(asdict(failure)), encoding="utf-8")


def noted_failure() -> Failure | None:
    """What the last stage to fail has left behind; None when it was killed, or could not write."""
    try:
        return Failure(**json.loads(FAILURE.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
