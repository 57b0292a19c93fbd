"""MLflow's pages, for as long as the command runs that shows them."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from running_server import HOST, PATIENCE, free_port, write_params


def answers(port: int) -> bool:
    with closing(socket.socket()) as client:
        return client.connect_ex((HOST, port)) == 0


@pytest.mark.slow
def test_the_server_ends_with_the_command_that_started_it(tmp_path: Path) -> None:
    write_params(tmp_path)
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    command = [sys.executable, "-m", "closedloop.cli", "ui", "--port", str(port)]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True) as shown:
        try:
            deadline = time.monotonic() + PATIENCE
            while not answers(port):
                assert shown.poll() is None and time.monotonic() < deadline
                time.sleep(0.1)
            shown.send_signal(signal.SIGTERM)
            assert shown.wait(PATIENCE) == 128 + signal.SIGTERM
            assert not answers(port)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shown.pid, signal.SIGKILL)  # the group of a new session, with whatever is left of it
