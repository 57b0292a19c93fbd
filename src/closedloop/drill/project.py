"""The drill's own project: a copy of the code and the configuration, with its own registry, log and models."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from closedloop.errors import ClosedLoopError
from closedloop.files import write_text
from closedloop.reproduction import NO_SCM

COPIED = (".dvc/config", ".dvcignore", "conf", "partitions", "pipelines", "src", "dvc.yaml")
PRODUCTION = ("MLFLOW_", "DVC_", "CLOSEDLOOP_LOG", "CLOSEDLOOP_WEBHOOK", "CLOSEDLOOP_PREDICT", "CLOSEDLOOP_FEEDBACK")
LAST_LINES = 15  # of the log, shown when a command fails


@dataclass(frozen=True)
class DrillProject:
    """A folder in which commands are run as a person would; what they say goes into `log`."""

    root: Path

    @classmethod
    def copy(cls, source: Path, root: Path) -> "DrillProject":
        """A fresh copy, without data, models, registry or labels of the real project."""
        shutil.rmtree(root, ignore_errors=True)
        for name in COPIED:
            origin, target = source / name, root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if origin.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.json" if name == "partitions" else "")
                shutil.copytree(origin, target, ignore=ignored)
            else:
                shutil.copy(origin, target)
        # DVC refuses files that git ignores, and all of the drill's are
        write_text(root / ".dvc/config.local", NO_SCM)
        return cls(root)

    @property
    def log(self) -> Path:
        return self.root / "drill.log"

    def environment(self) -> dict[str, str]:
        """This process's, without anything that points at the real registry, log, keys or webhook."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(PRODUCTION)}
        return {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command of this project in the background."""
        with self.log.open("ab") as log:
            log.write(f"\n$ closedloop {' '.join(arguments)}\n".encode())
            log.flush()
            command = [sys.executable, "-m", "closedloop.cli", *arguments]
            return subprocess.Popen(command, cwd=self.root, env=self.environment(), stdout=log, stderr=log)

    def run(self, *arguments: str, allowed: tuple[int, ...] = (0,)) -> int:
        """Run a command to its end; return its exit code.

        Raises ClosedLoopError with its last words when that is none of those allowed.
        """
        code = self.start(*arguments).wait()
        if code not in allowed:
            last = "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:])
            raise ClosedLoopError(
                f"`closedloop {' '.join(arguments)}` ended with code {code} in the drill's project:\n{last}\n"
                f"All of it is in {self.log}"
            )
        return code
