"""MLflow's own pages, on loopback and light."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress

import psutil

from closedloop.config import Params
from closedloop.errors import ConfigError
from closedloop.registry.store import connect, tracking_uri
from closedloop.sources.transport import public

LOOPBACK = "127.0.0.1"
PATIENCE = 5.0  # seconds that the server has to end


def serve(params: Params, port: int) -> int:
    """Run MLflow's server until it is interrupted or this process is told to end; return its exit code.

    Raises ConfigError when the port is taken.
    """
    uri = tracking_uri(params)
    if uri.startswith("http"):
        print(f"the tracking server is {public(uri)}: open it in a browser")
        return 0
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise ConfigError(
                f"port {port} cannot be used ({error.strerror}); choose another: make ui PORT=5001"
            ) from None
    connect(params)
    print(f"MLflow: http://{LOOPBACK}:{port} (Ctrl-C ends it)", flush=True)
    # job execution starts a dozen worker processes that nothing here uses
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_BACKEND_STORE_URI": uri}
    command = [sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with subprocess.Popen(command, env=environment) as server:
        try:
            return server.wait()
        finally:
            _end_children()


def _end_children() -> None:
    """The server is a process that starts another one: left to itself, that would go on and keep the port."""
    children = psutil.Process().children(recursive=True)
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.terminate()
    for child in psutil.wait_procs(children, PATIENCE)[1]:
        with suppress(psutil.NoSuchProcess):
            child.kill()
