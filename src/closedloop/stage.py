"""What every stage and command shares: a quiet environment, checked params, errors as one message and an exit code."""

import errno
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

from closedloop.errors import ClosedLoopError, ConfigError

EXIT_CODE = Path("work/exit_code")  # of the stage that failed last

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

DISK = {
    errno.ENOSPC: "the disk is full: free some space and run again",
    errno.EDQUOT: "the disk quota is used up: free some space and run again",
    errno.EROFS: "the disk is read-only: make it writable and run again",
    errno.EACCES: "permission denied: check who owns the file and run again",
}


def guarded(work: Callable[[], int | None]) -> int:
    """Run `work` and turn its errors into one message on stderr and an exit code (0, 1, 2, 3, or 130 for Ctrl-C)."""
    os.environ.update(PRIVATE)
    try:
        return work() or 0
    except ClosedLoopError as error:
        print(f"\nclosedloop: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nclosedloop: interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    except OSError as error:
        if error.errno not in DISK:
            raise
        print(f"\nclosedloop: {error.filename or 'a file'}: {DISK[error.errno]}", file=sys.stderr)
        return 1


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

        code = guarded(run)
        if code:  # DVC ends with a code of its own, whatever the stage's was
            EXIT_CODE.parent.mkdir(exist_ok=True)
            EXIT_CODE.write_text(str(code), encoding="utf-8")
        sys.exit(code)

    return main
