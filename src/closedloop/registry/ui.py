"""MLflow's own pages, on loopback and light."""

import os
import socket
import subprocess
import sys

from closedloop.config import Params
from closedloop.errors import ConfigError
from closedloop.registry.store import connect, tracking_uri
from closedloop.sources.transport import public

LOOPBACK = "127.0.0.1"


def serve(params: Params, port: int) -> int:
    """Run MLflow's server until it is interrupted; return its exit code.

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
    return subprocess.run(command, env=environment, check=False).returncode
