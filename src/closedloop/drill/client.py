"""Talks to the drill's server over HTTP, as its users do."""

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from closedloop.errors import ClosedLoopError

HOST = "127.0.0.1"
PATIENCE = 60.0  # seconds that anything may take at most


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class Client:
    """Asks over a connection of its own each time: the server ends one that has waited through a long training."""

    def __init__(self, port: int) -> None:
        self.port = port

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """The status and the decoded JSON body of the answer."""
        content = None if body is None else json.dumps(body).encode()
        with closing(http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)) as connection:
            connection.request(method, path, content, {"Content-Type": "application/json"} if content else {})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The body of an answer that must be a success.

        Raises ClosedLoopError otherwise.
        """
        status, answer = self.request(method, path, body)
        if status != http.HTTPStatus.OK:
            raise ClosedLoopError(f"the server answered {method} {path} with {status}: {answer}")
        return answer

    def wait_until_ready(self, server: subprocess.Popen[bytes]) -> None:
        """Wait for the server to take requests.

        Raises ClosedLoopError when it has ended, or is not ready in time.
        """

        def ready() -> bool:
            if server.poll() is not None:
                raise ClosedLoopError(f"the server ended with code {server.returncode} instead of starting")
            try:
                return self.request("GET", "/readyz")[0] == http.HTTPStatus.OK
            except (OSError, http.client.HTTPException):
                return False

        wait_for(ready, "the server to be ready")

    def wait_for_version(self, version: int) -> None:
        """Wait until a version is the one that answers."""
        wait_for(lambda: self.ask("GET", "/model")["version"] == version, f"the server to serve version {version}")


def wait_for(happened: Callable[[], bool], what: str) -> None:
    """Wait for something to happen; raises ClosedLoopError when it does not in time."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            raise ClosedLoopError(f"waited {PATIENCE:.0f} s in vain for {what}")
        time.sleep(0.1)
