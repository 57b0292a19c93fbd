"""The application: its routes, what they share, and how it starts and ends."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Awaitable, Callable

from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from closedloop.config import Params
from closedloop.prediction_log.writer import LogWriter
from closedloop.serving import docs, events
from closedloop.serving.auth import Keys
from closedloop.serving.deployment import Deployment
from closedloop.serving.feedback import Feedback
from closedloop.serving.limits import Boundary
from closedloop.serving.metrics import Metrics
from closedloop.serving.predictions import Predictions
from closedloop.serving.recording import Recording
from closedloop.serving.refusal import problem
from closedloop.serving.status import Status

CLOSING_SECONDS = 10.0  # that the log may take to write what waits
Handler = Callable[[Request], Awaitable[Response] | Response]


def create_app(
    params: Params,
    deployment: Deployment,
    writer: LogWriter,
    engine: Engine,
    *,
    keys: Keys,
    hosts: frozenset[str] | None = None,
) -> FastAPI:
    """The application; `hosts` are the names by which it may be called, None for any.

    Raises ConfigError when the log is to pseudonymise without a key.
    """
    metrics, recording = Metrics(), Recording(params)
    predictions = Predictions(
        params=params, deployment=deployment, writer=writer, keys=keys, metrics=metrics, recording=recording
    )
    feedback = Feedback(params, deployment, engine, keys, metrics)
    status = Status(
        params=params,
        deployment=deployment,
        writer=writer,
        engine=engine,
        keys=keys,
        metrics=metrics,
        predictions=predictions,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        champion = deployment.champion
        events.emit("info", "started", version=champion.version if champion else None, problem=deployment.problem)
        gc.collect()
        gc.freeze()  # what has been loaded stays: to look through all of it again would halt the server for 0.1 s
        tasks = [asyncio.create_task(deployment.follow()), asyncio.create_task(status.watch())]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.to_thread(predictions.close, CLOSING_SECONDS)
        await asyncio.to_thread(writer.close, CLOSING_SECONDS)
        engine.dispose()
        events.emit("info", "stopped")

    # plain routes: bodies are read strictly in one place, and FastAPI's own reading would cost 20 µs a request
    routes: list[tuple[str, Handler, str]] = [
        ("/predict", predictions.predict, "POST"),
        ("/feedback", feedback.feedback, "POST"),
        ("/model", status.model, "GET"),
        ("/healthz", status.healthz, "GET"),
        ("/readyz", status.readyz, "GET"),
        ("/metrics", status.prometheus, "GET"),
        ("/openapi.json", status.openapi, "GET"),
        ("/docs", docs.page, "GET"),
        ("/docs/{name}", docs.asset, "GET"),
    ]
    boundary = Middleware(
        Boundary,
        max_bytes=int(params.serving.max_body_mb * 1e6),
        seconds=params.serving.timeout_seconds,
        hosts=hosts,
        routes=frozenset(path for path, _, _ in routes),
        metrics=metrics,
        count=lambda answered: writer.count(params.task.name, answered),
    )
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # /metrics is the way
        lifespan=lifespan,
        middleware=[boundary],
        exception_handlers={HTTPException: _unrouted},
    )
    for path, handler, method in routes:
        app.add_route(path, handler, methods=[method])
    app.openapi = status.document  # type: ignore[method-assign]
    return app


async def _unrouted(_request: Request, error: HTTPException) -> Response:
    """404 and 405, as the router raises them."""
    reason = "no such route; see /docs" if error.status_code == 404 else "see the header Allow for the route's methods"
    return problem(error.status_code, reason, headers=error.headers)
