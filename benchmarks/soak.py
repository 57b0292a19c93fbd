"""Half the peak rate for some minutes: is memory flat, is every answer logged, does nothing fail?

python benchmarks/soak.py [MINUTES] ; writes docs/benchmarks/soak.json. On `digits`, trained in a project of its own.
"""

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine

from closedloop.data.examples import read_examples
from closedloop.drill.client import free_port
from closedloop.drill.project import DrillProject
from closedloop.files import write_json
from closedloop.paths import Paths
from closedloop.tasks import get_task
from serving import CONNECTIONS, load, pss_mb, running

TASK = "digits"
PEAK_SECONDS, SAMPLE_SECONDS, WARM_SHARE = 10.0, 2.0, 0.2


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    with tempfile.TemporaryDirectory() as folder:
        project, body = DrillProject.copy(Path(), Path(folder) / "project"), Path(folder) / "body.json"
        print("training digits", flush=True)
        project.run("run", "--task", TASK)
        paths = Paths(TASK, project.root)
        examples = read_examples(paths.examples("production")).slice(0, 1)
        body.write_text(json.dumps(get_task("images").load_preprocessor(paths.preprocessor).encode(examples)[0]))
        port = free_port()
        with running("closedloop", project, port) as server:
            load(port, "/predict", body, 2)
            peak = load(port, "/predict", body, PEAK_SECONDS)
            known = logged(project)
            print(f"peak {peak['per_second']:.0f} a second; {minutes:g} minutes at half of it", flush=True)
            seen, memory = soak(port, body, minutes * 60, peak["per_second"] / 2, server.pid)
        acknowledged = set(body.with_name("body.json.ids").read_text().split())
        unlogged = acknowledged - (logged(project) - known)
    result = {
        "minutes": minutes,
        "peak_per_second": peak["per_second"],
        **{key: seen[key] for key in ("requests", "per_second", "p50_ms", "p99_ms", "statuses")},
        "acknowledged": len(acknowledged),
        "unlogged": len(unlogged),
        "memory_mb": summary(memory),
        "machine": describe_machine(),
        "command": f"python benchmarks/soak.py {minutes:g}",
    }
    write_json(Path("docs/benchmarks/soak.json"), result)
    print(json.dumps({key: value for key, value in result.items() if key != "machine"}, indent=2))


def soak(port: int, body: Path, seconds: float, rate: float, pid: int) -> tuple[Any, list[tuple[float, float]]]:
    """What the load generator saw, and (seconds, MB) of the server meanwhile."""
    script = str(Path(__file__).with_name("load.py"))
    command = [sys.executable, script, str(port), "/predict", str(body), str(CONNECTIONS), str(seconds), str(rate)]
    started, memory = time.monotonic(), []
    generator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while generator.poll() is None:
        memory.append((time.monotonic() - started, pss_mb(pid)))
        time.sleep(SAMPLE_SECONDS)
    assert generator.stdout is not None  # noqa: S101  a pipe was asked for
    return json.loads(generator.stdout.read()), memory


def summary(memory: list[tuple[float, float]]) -> dict[str, float]:
    """Memory after the warm-up: first, last, most, and the slope of a straight line through it."""
    after = np.array(memory)[int(WARM_SHARE * len(memory)) :]
    slope = float(np.polyfit(after[:, 0] / 60, after[:, 1], 1)[0])
    return {
        "first": float(after[0, 1]),
        "last": float(after[-1, 1]),
        "most": float(after[:, 1].max()),
        "growth_per_minute": slope,
    }


def logged(project: DrillProject) -> set[str]:
    with sqlite3.connect(project.root / "predictions.db") as database:
        return {row[0] for row in database.execute("SELECT id FROM predictions")}


if __name__ == "__main__":
    main()
