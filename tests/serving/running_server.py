"""The real server in a process of its own, as `make serve` starts it, and a client for it."""

import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from sklearn.datasets import load_digits

from closedloop.tasks.images.request import pixels
from registered_digits import digits, digits_params

HOST = "127.0.0.1"
PATIENCE = 60.0  # seconds; a machine may be slow
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Reply:
    """What the server answered."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class RunningServer:
    """A server on a port, with the files that it writes."""

    root: Path
    port: int
    process: subprocess.Popen[bytes]

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Reply:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, names, answer.read())

    def get(self, path: str, headers: dict[str, str] | None = None) -> Reply:
        return self.ask("GET", path, None, headers)

    def post(self, path: str, content: Any, headers: dict[str, str] | None = None) -> Reply:
        """JSON."""
        return self.ask("POST", path, json.dumps(content).encode(), {**JSON, **(headers or {})})

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of the structured log with a name; one that runs is waited for, until all so far is written."""
        if self.process.poll() is None:
            marker = f"marker-{time.monotonic_ns()}"
            self.get("/healthz", {"X-Request-ID": marker})
            deadline = time.monotonic() + PATIENCE
            while marker not in (self.root / "server.log").read_text():
                assert time.monotonic() < deadline, "the server writes no log"
                time.sleep(0.01)
        lines = [json.loads(line) for line in (self.root / "server.log").read_text().splitlines()]
        return [line for line in lines if line["event"] == name]

    def logged_ids(self) -> set[str]:
        """The ids in the prediction log."""
        with contextlib.closing(sqlite3.connect(self.root / "predictions.db", timeout=PATIENCE)) as log:
            return {row[0] for row in log.execute("SELECT id FROM predictions")}

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


def image(row: int) -> list[list[int]]:
    """An example that no model was trained on."""
    rows: list[list[int]] = pixels(digits(1300 + row, 1301 + row))[0].tolist()
    return rows


def label(row: int) -> str:
    return str(load_digits().target[1300 + row])


def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def write_params(root: Path, *overrides: str) -> None:
    content = digits_params(*overrides).model_dump(mode="json")
    (root / "params.yaml").write_text(yaml.safe_dump(content))


def start(
    root: Path, *arguments: str, port: int | None = None, out: int | None = None, **environment: str
) -> RunningServer:
    """Start the server in a project's folder, without waiting for it; `out` is a descriptor for its standard output."""
    port = port or free_port()
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "DVC_", "CLOSEDLOOP_"))}
    with (root / "server.log").open("ab") as file, (root / "server.err").open("ab") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "closedloop.cli", "serve", "--port", str(port), *arguments],
            cwd=root,
            env={**inherited, "OMP_NUM_THREADS": "1", **environment},
            stdout=file if out is None else out,
            stderr=err,
        )
    return RunningServer(root, port, process)


def wait_until_answering(server: RunningServer) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        assert server.process.poll() is None, (server.root / "server.err").read_text()
        with contextlib.suppress(OSError, http.client.HTTPException):
            server.get("/healthz")
            return
        assert time.monotonic() < deadline, "the server does not answer"
        time.sleep(0.05)


MakeServer = Callable[..., RunningServer]


@contextlib.contextmanager
def running(root: Path, *arguments: str, **environment: str) -> Iterator[RunningServer]:
    """A server that answers; ended with the block."""
    server = start(root, *arguments, **environment)
    try:
        wait_until_answering(server)
        yield server
    finally:
        server.process.kill()
        server.process.wait(PATIENCE)
