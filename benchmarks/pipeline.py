"""How long the pipeline takes on digits: the first run, and `dvc repro` with nothing changed.

python benchmarks/pipeline.py [REPEATS] ; writes docs/benchmarks/pipeline.json.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import describe_machine

from closedloop.files import write_json

SHIPPED = (".dvc/config", ".dvcignore", "conf", "partitions", "pipelines", "src", "dvc.yaml")


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        for name in SHIPPED:
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if Path(name).is_dir() else shutil.copy
            copy(name, project / name)
        first = timed(project, sys.executable, "-m", "closedloop.cli", "run", "--task", "digits")
        print(f"first run {first:.1f} s", flush=True)
        again = [timed(project, sys.executable, "-m", "dvc", "repro") for _ in range(repeats)]
    result = {
        "first_run_seconds": round(first, 1),
        "unchanged_seconds": [round(seconds, 2) for seconds in again],
        "unchanged_median_seconds": round(statistics.median(again), 2),
        "machine": describe_machine(),
        "command": f"python benchmarks/pipeline.py {repeats}",
    }
    write_json(Path("docs/benchmarks/pipeline.json"), result)
    print(f"unchanged: median {statistics.median(again):.2f} s of {repeats}")


def timed(project: Path, *command: str) -> float:
    """Seconds of a command in a project; raises CalledProcessError when it fails."""
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    started = time.perf_counter()
    subprocess.run(command, cwd=project, check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
