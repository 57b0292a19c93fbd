"""Runs the application: one process, or several that share a socket and are started anew when they die."""

import contextlib
import functools
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.server import HANDLED_SIGNALS
from uvicorn.supervisors import Multiprocess

from closedloop.config import Params
from closedloop.errors import ClosedLoopError, ConfigError
from closedloop.prediction_log.store import open_log
from closedloop.serving import events, metrics
from closedloop.serving.auth import Keys, check_host, is_loopback
from closedloop.serving.protocol import Protocol

KEEP_ALIVE_SECONDS = 75  # longer than clients and proxies keep an idle connection
WORKER_SECONDS = 10  # that a worker may take to give a sign of life, also on a busy machine


def serve(params: Params, host: str, port: int, workers: int | None = None) -> int:
    """Answer requests until SIGTERM or Ctrl-C, then finish what was accepted; 0 when that went well.

    Raises ConfigError for an address that others reach without keys set, LogError when the prediction log cannot be
    opened, ClosedLoopError when the address is taken.
    """
    check_host(host, Keys.from_environment())
    open_log(params).dispose()  # with its tables made, and a clear message where it cannot be written
    workers = workers or params.serving.workers
    listening = _bind(host, port)
    print(f"closedloop: {params.task.name} on {_url(listening)}, its API on /docs; Ctrl-C ends it", file=sys.stderr)
    if workers == 1:
        return _serve_here(params, host, listening)
    return _supervise(params, host, listening, workers)


def _serve_here(params: Params, host: str, listening: socket.socket) -> int:
    config = _config(params, assemble(params, host))
    Server(config).run(sockets=[listening])
    return 0


def _supervise(params: Params, host: str, listening: socket.socket, workers: int) -> int:
    with tempfile.TemporaryDirectory(prefix="closedloop-metrics-") as folder:
        os.environ[metrics.DIRECTORY] = folder  # inherited by the workers
        config = _config(params, functools.partial(assemble_worker, params, host))
        config.workers, config.factory = workers, True
        events.configure()
        supervisor = Multiprocess(config, [listening])
        supervisor.run()
        failed = any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes)
    if failed:
        raise ClosedLoopError("a worker could not start; its reason stands above")
    return 0


def assemble(params: Params, host: str) -> FastAPI:
    """The application on the real model and log."""
    from closedloop.prediction_log.writer import LogWriter
    from closedloop.serving.app import create_app
    from closedloop.serving.deployment import Deployment
    from closedloop.serving.recording import Recording

    events.configure()
    Protocol.seconds = params.serving.timeout_seconds + 2  # after the application's own bound
    deployment = Deployment(params, Recording(params).check)
    deployment.load_now()
    if isinstance(deployment.error, ConfigError):  # later, a version that it does not fit is not followed
        raise deployment.error
    engine = open_log(params)
    return create_app(
        params,
        deployment,
        LogWriter(engine),
        engine,
        keys=Keys.from_environment(),
        hosts=_names(host, params.serving.hosts),
    )


def assemble_worker(params: Params, host: str) -> FastAPI:
    """As assemble; what goes wrong ends the supervisor too, for it would go wrong again."""
    threading.Thread(target=_end_with_the_supervisor, daemon=True).start()
    try:
        return assemble(params, host)
    except ClosedLoopError as error:
        print(f"closedloop: {error}", file=sys.stderr)
        sys.exit(STARTUP_FAILURE)


def _end_with_the_supervisor() -> None:
    """A worker that nobody can end any more would keep the port for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


class Server(uvicorn.Server):
    """Ends with code 0 when it is told to end: uvicorn's own raises the signal once more when it is done."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        for number in HANDLED_SIGNALS:
            signal.signal(number, self.handle_exit)
        yield


def _config(params: Params, app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        loop="uvloop",
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(params.serving.timeout_seconds) + 5,
        timeout_worker_healthcheck=WORKER_SECONDS,
    )


def _names(host: str, others: list[str]) -> frozenset[str] | None:
    """By which names a server on a loopback address may be called; behind a public one there may be any."""
    names = {"localhost", "127.0.0.1", "::1", host, *(name.lower() for name in others)}
    return frozenset(names) if is_loopback(host) else None


def _bind(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # of the addresses of a name like localhost the one that most clients try
        family, kind, protocol, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise ClosedLoopError(
            f"cannot listen on {host} port {port} ({error.strerror}): end what has it, or choose another with PORT=…"
        ) from None
    listening.set_inheritable(True)
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
