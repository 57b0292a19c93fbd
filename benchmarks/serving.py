"""Our server against `mlflow models serve` on the same 28x28 model, in turns, and what the prediction log costs.

python benchmarks/serving.py [ROUNDS [SECONDS]] ; writes docs/benchmarks/serving.json. Trains `mnist` for one epoch in a
project of its own: what a request costs does not depend on how well the network has learnt.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from machine import describe_machine

from closedloop.data.examples import read_examples
from closedloop.drill.client import free_port, wait_for
from closedloop.drill.project import DrillProject
from closedloop.files import write_json
from closedloop.paths import Paths
from closedloop.tasks import get_task

TASK, CONNECTIONS = "mnist", 8
QUICK = ("trainer.max_epochs=1", "gate.min_accuracy=0", "gate.min_macro_f1=0", "gate.min_class_recall=0")
UNLOGGED = """
from closedloop.prediction_log.writer import LogWriter
async def nothing(self, answers): pass
LogWriter.write = nothing
from closedloop.cli import main
main()
"""


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 6.0
    with tempfile.TemporaryDirectory() as folder:
        project = DrillProject.copy(Path(), Path(folder) / "project")
        print("training mnist for one epoch", flush=True)
        project.run("run", "--task", TASK, *QUICK)
        servers: dict[str, list[dict[str, Any]]] = {"closedloop": [], "closedloop, unlogged": [], "mlflow": []}
        for turn in range(rounds):
            for name, measured in servers.items():
                measured.append(measure(name, project, Path(folder), seconds))
                shown = {key: round(value, 1) for key, value in measured[-1].items() if isinstance(value, float)}
                print(f"round {turn + 1} of {rounds}, {name}: {shown}", flush=True)
    result = {
        "request": "one 28x28 image as nested JSON lists, 8 connections, one process; servers in turns",
        "rounds": rounds,
        "seconds_each": seconds,
        "servers": servers,
        "medians": {name: medians(measured) for name, measured in servers.items()},
        **ratios(servers),
        "machine": describe_machine(),
        "command": f"python benchmarks/serving.py {rounds} {seconds:g}",
    }
    write_json(Path("docs/benchmarks/serving.json"), result)
    print(json.dumps({key: result[key] for key in ("medians", *ratios(servers))}, indent=2))


def medians(measured: list[dict[str, Any]]) -> dict[str, float]:
    return {
        key: statistics.median(one[key] for one in measured) for key in ("per_second", "p50_ms", "p99_ms", "pss_mb")
    }


def ratios(servers: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    """Median ratios of figures taken next to each other in one round."""

    def ratio(ours: str, theirs: str, key: str) -> float:
        pairs = zip(servers[ours], servers[theirs], strict=True)
        return statistics.median(one[key] / other[key] for one, other in pairs)

    return {
        "throughput_over_mlflow": ratio("closedloop", "mlflow", "per_second"),
        "p99_over_mlflow": ratio("closedloop", "mlflow", "p99_ms"),
        "memory_over_mlflow": ratio("closedloop", "mlflow", "pss_mb"),
        "throughput_logged_over_unlogged": ratio("closedloop", "closedloop, unlogged", "per_second"),
    }


def measure(name: str, project: DrillProject, folder: Path, seconds: float) -> dict[str, Any]:
    """Start a server, warm it up, load it, weigh it, end it."""
    paths = Paths(TASK, project.root)
    examples = read_examples(paths.examples("production")).slice(0, 1)
    record = get_task("images").load_preprocessor(paths.preprocessor).encode(examples)[0]
    body = {"dataframe_records": [record]} if name == "mlflow" else record
    file, path = folder / "body.json", "/invocations" if name == "mlflow" else "/predict"
    file.write_text(json.dumps(body), encoding="utf-8")
    port = free_port()
    with running(name, project, port) as server:
        load(port, path, file, 1.5)
        found = load(port, path, file, seconds)
        if set(found["statuses"]) != {"200"}:
            raise SystemExit(f"{name} answered with {found['statuses']}")
        return {**found, "pss_mb": pss_mb(server.pid)}


def load(port: int, path: str, body: Path, seconds: float, rate: float = 0) -> Any:
    """What the load generator saw."""
    script = str(Path(__file__).with_name("load.py"))
    command = [sys.executable, script, str(port), path, str(body), str(CONNECTIONS), str(seconds), str(rate)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@contextmanager
def running(name: str, project: DrillProject, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """One of the servers, ready."""
    python, environment = sys.executable, project.environment()
    if name == "mlflow":
        environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{project.root}/mlflow.db"
        command = [
            python,
            "-m",
            "mlflow",
            "models",
            "serve",
            "-m",
            f"models:/{TASK}@champion",
            "--env-manager",
            "local",
        ]
        command += ["-p", str(port), "-h", "127.0.0.1"]
    elif name == "closedloop":
        command = [python, "-m", "closedloop.cli", "serve", "--port", str(port)]
    else:
        command = [python, "-c", UNLOGGED, "serve", "--port", str(port)]
    with project.log.open("ab") as log:
        process = subprocess.Popen(command, cwd=project.root, env=environment, stdout=log, stderr=log)
    try:
        wait_for(lambda: answers(port, "/ping" if name == "mlflow" else "/readyz"), f"{name} (see {project.log})")
        yield process
    finally:
        for child in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
            child.terminate()
        process.wait(timeout=30)


def answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        time.sleep(0.2)
        return False


def pss_mb(pid: int) -> float:
    """Memory of a process and its children, shared pages divided among those who share them."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(process.memory_full_info().pss for process in family) / 1e6


if __name__ == "__main__":
    main()
